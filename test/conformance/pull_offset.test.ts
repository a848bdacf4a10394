/**
 * Each case against a real broker: what a pull is answered, by the client and by the service behind it.
 *
 * Two columns have no counterpart. `brokerCode` and `storeStatus` are RocketMQ's inner names for `clientStatus`.
 * `held`: a pull never waits here; what waits is a member's fetch, whose offsets the broker gives out itself. A fetch
 * beyond the end therefore waits as well, where RocketMQ would answer OFFSET_ILLEGAL (row 7), and one before the
 * beginning reads on from there (row 9): there is nobody to be told. One that finds no match goes on waiting for one (row 13).
 */
import { afterEach, describe, expect, test } from "vitest";
import { STORED_QUEUE, storedQueue } from "../support/stored-queue.ts";
import { type NodeOrigin, until } from "../support/node-broker.ts";
import table from "./data/pull_offset.json";

/** Rows of which a member's fetch differs from a held pull. */
const HELD_DIFFERS = new Map([[7, true], [13, true]]);

let origin: NodeOrigin;
afterEach(() => origin.close());

describe("pull_offset", () => {
  for (const { id, input, expected } of table.cases) {
    const { minOffset, maxOffset, requestOffset, anyMatch } = input;
    const name = `row ${id}: ${requestOffset} of ${minOffset} to ${maxOffset}: ${expected.clientStatus}`;
    const times = Array.from({ length: maxOffset }, () => 1);
    const expression = anyMatch ? "*" : "none";

    test(`${name}, pulled`, async () => {
      origin = await storedQueue(times, minOffset);
      const pull = await (await origin.connect()).createPullConsumer({ consumerGroup: "g" });
      const answer = await pull.pull(STORED_QUEUE, expression, requestOffset, 1024);
      expect(answer).toMatchObject({ status: expected.clientStatus, minOffset, maxOffset });
      if (expected.nextBeginOffset !== undefined) expect(answer.nextBeginOffset).toBe(expected.nextBeginOffset);
      const offsets = answer.messages.map((message) => message.queueOffset);
      expect(offsets).toEqual(answer.status === "FOUND" ? Array.from({ length: maxOffset - requestOffset }, (_, at) => requestOffset + at) : []);
      // Past what was looked at, whether it matched or not.
      if (answer.status === "FOUND" || answer.status === "NO_MATCHED_MSG") expect(answer.nextBeginOffset).toBe(maxOffset);
      const raw = await origin.host.broker!.fetches.pull({ topic: "t", queueId: 0, expression, offset: requestOffset, max: 1024 });
      expect({ status: raw.status, next: raw.nextBeginOffset, isEmpty: raw.records.byteLength === 0 })
        .toEqual({ status: expected.clientStatus, next: answer.nextBeginOffset, isEmpty: offsets.length === 0 });
    });

    test(`${name}, fetched by a member`, async () => {
      origin = await storedQueue(times, minOffset);
      const mq = await origin.connect();
      const { broker } = origin.host;
      const [session] = broker!.sessions;
      const queue = { topic: "t", queueId: 0 };
      const member = broker!.groups.join(session!, { group: "g", subscriptions: [["t", expression]], queues: [], consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" });
      let isAnswered = false;
      const held = [{ ...queue, commitOffset: -1, nextOffset: requestOffset, want: 32 }];
      const fetch = broker!.fetches.fetch(member, { memberId: member.id, generation: member.generation, held, released: [], wait: 10_000 }).then((reply) => {
        isAnswered = true;
        return reply;
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(isAnswered).toBe(!(HELD_DIFFERS.get(id) ?? expected.held));
      // What waits is woken: by a message where the queue goes on, else by the end.
      if (!isAnswered && requestOffset === maxOffset) {
        await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "new" });
        await until(() => isAnswered);
        expect((await fetch).progress).toEqual([{ ...queue, nextOffset: maxOffset + 1 }]);
      }
      broker!.fetches.stop();
      await fetch;
    });
  }
});
