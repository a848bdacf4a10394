import { systemClock } from "../../src/platform/clock.ts";
import { SWEPT_KEY } from "../../src/storage/log-sweeper.ts";
import { TRIM_KEY, type TrimRow } from "../../src/storage/log-trimmer.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
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
  if (minOffset > 0) giveUp(first.disk, topic, minOffset);
  return new NodeOrigin(first.disk);
}

/** As retention does with the first rows, of which each is one message, and what sweeps behind it. */
function giveUp({ log, state }: MemoryDisk, topic: string, count: number): void {
  const rows = [...log.keys()].sort((a, b) => a - b);
  const position = rows[count]!;
  const row: TrimRow = { version: 1, position, messages: count, bytes: position, queues: [[topic, STORED_QUEUE.queueId, count]] };
  state.set(TRIM_KEY, row).set(SWEPT_KEY, position);
  for (const gone of rows.slice(0, count)) log.delete(gone);
}
