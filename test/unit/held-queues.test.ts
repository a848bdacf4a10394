import { expect, test } from "vitest";
import { HeldQueues } from "../../src/client/held-queues.ts";
import type { MessageExt } from "../../src/model/message.ts";

const limits = { pullBatchSize: 32, thresholdForQueue: 1000, thresholdSizeForQueue: 2 ** 20, maxSpan: 2000 };
const queue = { topic: "t", queueId: 0 };

/** Holds the queue from offset 14 on and has consumed up to 18. */
function advanced(): HeldQueues {
  const queues = new HeldQueues(limits, () => {});
  queues.assign([{ ...queue, offset: 14, done: [] }], "broker-a");
  const messages = [14, 15, 16, 17].map((queueOffset) => ({ ...queue, queueOffset, storeSize: 100 }) as unknown as MessageExt);
  const reply = { generation: 1, progress: [{ ...queue, nextOffset: 18 }], records: new Uint8Array(0) };
  for (const { processQueue, messages: fresh } of queues.receive(reply, messages, queues.snapshot(), new Map())) {
    for (const message of fresh) {
      queues.began(processQueue);
      queues.ended(processQueue, message, true);
    }
  }
  return queues;
}

test("a queue that comes back before the broker knows how far we came goes on from there", () => {
  const queues = advanced();
  queues.assign([], "broker-a");
  expect(queues.report().released).toEqual([{ ...queue, commitOffset: 18 }]);
  // This answer was on its way already: it does not know of 18 yet.
  queues.assign([{ ...queue, offset: 14, done: [] }], "broker-a");
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 18, nextOffset: 18 }]);
});

test("once the broker knows, its offset is the one: somebody may have set it back", () => {
  const queues = advanced();
  queues.assign([], "broker-a");
  queues.told(queues.report().released);
  queues.assign([{ ...queue, offset: 14, done: [] }], "broker-a");
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 14, nextOffset: 14 }]);
});
