import { describe, expect, test } from "vitest";
import type { MessageExt } from "../../src/index.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";
import table from "./data/pop.json" with { type: "json" };

/**
 * Where TabMQ does otherwise, on purpose. RocketMQ's orderly POP locks a queue for a batch, so that one slow message stops all
 * of the queue; here one message at a time of each messageGroup is given, and the others of the queue go on.
 */
const OTHERWISE: Record<string, string> = {
  "orderInfo 5": "no numbers: the acknowledgement names its claim, and one that names another is refused (INVALID_RECEIPT_HANDLE); see test/contract/pop.test.ts",
  "orderInfo 7": "an acknowledgement of what nobody has received is refused; RocketMQ moves the offset behind it",
  "orderInfo 9": "the second message is not given before the first is finished, so it cannot be acknowledged before it; the rest of the row holds, below",
  "orderInfo 11": "the first acknowledgement is refused alike; but then the second message is free, and not blocked until its first claim is over",
  "assignment 3": "there is no popShareQueueNum: every consumer takes from every queue",
  "assignment 4": "as 3",
  "assignment 7": "as 3",
};

/** A queue of one messageGroup with the offsets 1 to 3, and its consumer, in virtual time. */
async function orderly<T>(work: (side: Orderly) => Promise<T>): Promise<T> {
  const disk = new MemoryDisk();
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
  return origin.time.run(Orderly.open(origin).then(work));
}

class Orderly {
  readonly origin: VirtualOrigin;
  readonly #mq: Awaited<ReturnType<VirtualOrigin["connect"]>>;
  readonly #consumer;
  readonly #began: number;
  readonly #held = new Map<number, MessageExt>();

  static async open(origin: VirtualOrigin): Promise<Orderly> {
    const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
    const producer = await mq.createProducer({ producerGroup: "p" });
    const consumer = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await producer.send({ topic: "t", body: "0" });
    await consumer.ack((await consumer.receive())[0]!);
    for (const body of ["1", "2", "3"]) await producer.send({ topic: "t", body, messageGroup: "one" });
    return new Orderly(origin, mq, consumer);
  }

  private constructor(origin: VirtualOrigin, mq: Awaited<ReturnType<VirtualOrigin["connect"]>>, consumer: Awaited<ReturnType<typeof mq.createSimpleConsumer>>) {
    this.origin = origin;
    this.#mq = mq;
    this.#consumer = consumer;
    this.#began = origin.time.now();
  }

  until(at: number): Promise<void> {
    return this.origin.time.sleep(Math.max(0, this.#began + at - this.origin.time.now()));
  }

  async pop(invisibleDuration: number): Promise<number[]> {
    const messages = await this.#consumer.receive({ awaitDuration: 0, invisibleDuration });
    for (const message of messages) this.#held.set(message.queueOffset, message);
    return messages.map(({ queueOffset }) => queueOffset);
  }

  change(offset: number, invisibleDuration: number): Promise<void> {
    return this.#consumer.changeInvisibleDuration(this.#held.get(offset)!, invisibleDuration);
  }

  /** The group's offset after it. */
  async ack(offset: number): Promise<number> {
    if (!this.#held.has(offset)) await this.pop(1000);
    await this.#consumer.ack(this.#held.get(offset)!);
    return (await this.#mq.admin.consumeStats("g")).queues.find(({ topic }) => topic === "t")!.consumerOffset;
  }
}

describe("orderInfo", () => {
  const rows = table.orderInfo.filter(({ id }) => OTHERWISE[`orderInfo ${id}`] === undefined);
  test.each(rows)("$id $note", async ({ steps }) => {
    await orderly(async (side) => {
      for (const step of steps) {
        if (step.op === "pop") expect(await side.pop(step.invisibleMs!)).toEqual(step.offsets!.slice(0, 1));
        else if (step.op === "ack") expect(await side.ack(step.offset!)).toBe(step.expected);
        else expect(steps.length === 1 ? (await side.pop(1)).length > 0 : (await side.pop(1)).length === 0).toBe(true);
      }
    });
  });

  test("9, as far as it holds: a longer invisible time of the first keeps its group blocked", async () => {
    await orderly(async (side) => {
      expect(await side.pop(1000)).toEqual([1]);
      await side.change(1, 5000);
      for (const [at, offsets] of [[1000, []], [4990, []], [5100, [1]]] as const) {
        await side.until(at);
        expect(await side.pop(1000)).toEqual(offsets);
      }
    });
  });

  test("11, as far as it holds: after a second delivery acknowledgements of the first are ignored", async () => {
    await orderly(async (side) => {
      await side.pop(1000);
      await side.until(1100);
      // The message object of the first delivery is another one.
      await expect(side.ack(1)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE" });
      expect(await side.pop(1000)).toEqual([1]);
      expect(await side.ack(1)).toBe(2);
    });
  });
});

test.each(table.invisible)("invisible $id: $operation of $invisibleMs ms", async ({ operation, invisibleMs, accepted }) => {
  await orderly(async (side) => {
    let call: Promise<unknown>;
    if (operation === "receive") call = side.pop(invisibleMs);
    else {
      await side.pop(10_000);
      call = side.change(1, invisibleMs);
    }
    if (accepted) await call;
    else await expect(call).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
  });
});

describe("assignment", () => {
  const rows = table.assignment.filter(({ id }) => OTHERWISE[`assignment ${id}`] === undefined);
  test.each(rows)("$id: $popShareQueueNum", async ({ consumers, queues, expected }) => {
    const disk = new MemoryDisk();
    const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
    await origin.time.run(
      (async () => {
        const mq = await origin.connect({ broker: { defaultTopicQueueNums: queues } });
        const producer = await mq.createProducer({ producerGroup: "p" });
        for (let queueId = 0; queueId < queues; queueId++) await producer.send({ topic: "T", body: "x" }, { queue: { topic: "T", brokerName: "broker-a", queueId } });
        const options = { consumerGroup: "g", subscriptions: { T: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" } as const;
        const all = await Promise.all(consumers.map(() => mq.createSimpleConsumer(options)));
        for (const [at, consumer] of all.entries()) {
          expect(Object.values(expected)[at]).toEqual(["T:b:-1"]);
          const messages = await consumer.receive({ awaitDuration: 0 });
          expect(new Set(messages.map(({ queueId }) => queueId)).size).toBe(queues);
          for (const message of messages) await consumer.changeInvisibleDuration(message, 1);
          await origin.time.sleep(10);
        }
      })(),
    );
  });
});

test("what is done otherwise is in the table", () => {
  const ids = [...table.orderInfo.map(({ id }) => `orderInfo ${id}`), ...table.assignment.map(({ id }) => `assignment ${id}`)];
  expect(Object.keys(OTHERWISE).filter((id) => !ids.includes(id))).toEqual([]);
});
