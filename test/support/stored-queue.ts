import { systemClock } from "../../src/platform/clock.ts";
import type { CheckpointRow } from "../../src/storage/checkpoint.ts";
import { NodeOrigin } from "./node-broker.ts";

export const STORED_QUEUE = { topic: "t", brokerName: "broker-a", queueId: 0 };

/**
 * A broker with one queue whose messages were stored at these times, in their order; of the first, up to `minOffset`,
 * nothing is left in the queue. Their bodies are their offsets, their tags "even" and "odd".
 */
export async function storedQueue(storeTimes: readonly number[], minOffset = 0, topic = STORED_QUEUE.topic): Promise<NodeOrigin> {
  const time = { now: 0 };
  const first = new NodeOrigin();
  first.host = first.newHost({ clock: { ...systemClock, now: () => time.now } });
  const mq = await first.connect();
  first.host.broker!.topics.ensure({ topic, readQueueNums: 1, writeQueueNums: 1 });
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (const [offset, at] of storeTimes.entries()) {
    time.now = at;
    await producer.send({ topic, body: `${offset}`, tags: offset % 2 === 0 ? "even" : "odd" });
  }
  await mq.close();
  await first.host.broker!.close();
  await first.close();
  // Nothing deletes old messages yet: the checkpoint says where a queue begins, and here it says so later.
  const checkpoint = first.disk.state.get("checkpoint") as CheckpointRow | undefined;
  for (const queue of checkpoint?.queues ?? []) if (queue[0] === topic) queue[2] = minOffset;
  if (checkpoint !== undefined) delete checkpoint.check;
  if (minOffset > 0 && checkpoint === undefined) throw new Error("there is no checkpoint to change");
  return new NodeOrigin(first.disk);
}
