import type { Message, TabMQ } from "../../src/index.ts";
import { CLEAN_INTERVAL, MIN_STORE_BYTES, ROW_REST, SMALL_ROW_BYTES } from "../../src/model/limits.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { copyOf } from "./memory-disk.ts";
import { VirtualOrigin } from "./virtual-origin.ts";

export interface LivedStore {
  disk: MemoryDisk;
  /** The same store at earlier moments. */
  earlier: MemoryDisk[];
}

const SETTINGS = { maxStoreBytes: MIN_STORE_BYTES, fileReservedTime: 1000, defaultTopicQueueNums: 1 };

/**
 * A small store that has been through everything: its begin was cut off, small rows have been merged, the key index has
 * a sealed segment and an open one, a queue goes on in a second page, a group has come half way, and behind the last
 * checkpoint there are more rows, because the second of two hosts was killed. `name` stands in every body; with another `turn`
 * the queues take theirs in another order, so that other messages stand at the same positions.
 */
export async function livedStore(name = "ours", turn = 0): Promise<LivedStore> {
  const disk = new MemoryDisk();
  const earlier: MemoryDisk[] = [];
  const keep = (): void => void earlier.push(copyOf(disk));
  await life(disk, turn, async (mq, origin) => {
    await mq.admin.createTopic({ topic: "a", readQueueNums: 2, writeQueueNums: 2 });
    const send = sender(mq, name, origin);
    // Fills most of a page, and goes when it is cut off.
    await send("a", 0, Array.from({ length: 1021 }, () => ({ body: "x".repeat(900) })));
    for (let at = 0; at < 16; at++) await send(...queueAt(at + turn), [{ tags: `t${at % 2}`, keys: ["all", `k${at}`] }]);
    keep();
    // Too large to be merged, so that those before it are.
    await send(...queueAt(2 + turn), [{ body: "y".repeat(SMALL_ROW_BYTES), tags: "long", keys: "all" }]);
    keep();
    await origin.time.sleep(3000);
    keep();
    const consumer = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    consumer.subscribe("a");
    consumer.subscribe("b");
    for (let round = 0; round < 60; round++) {
      await consumer.poll({ timeout: 500, max: 32 });
      if (round === 5) keep();
    }
    await consumer.shutdown();
    keep();
    await origin.time.sleep(2 * (ROW_REST + CLEAN_INTERVAL));
    keep();
    await mq.close();
    await origin.stopWorker();
  });
  keep();
  // This host's clock is behind: the key index seals what it finds.
  await life(disk, turn, async (mq, origin) => {
    const send = sender(mq, name, origin);
    for (let at = 0; at < 3; at++) await send(...queueAt(at + turn), [{ tags: "t0", keys: ["all", `late${at}`] }]);
    keep();
    await origin.time.sleep(3000);
    keep();
    for (let at = 0; at < 4; at++) await send(...queueAt(at + turn), [{ keys: ["all", `last${at}`] }]);
    origin.killAll();
  });
  return { disk, earlier };
}

async function life(disk: MemoryDisk, turn: number, work: (mq: TabMQ, origin: VirtualOrigin) => Promise<void>): Promise<void> {
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
  // No two databases begin in the same millisecond.
  if (turn > 0) await origin.time.run(origin.time.sleep(turn));
  await origin.time.run(origin.connect({ broker: SETTINGS }).then((mq) => work(mq, origin)));
}

const queueAt = (at: number): [topic: string, queueId: number] => [["a", 0], ["a", 1], ["b", 0]][at % 3] as [string, number];

type Send = (topic: string, queueId: number, parts: (Omit<Message, "topic" | "body"> & { body?: string })[]) => Promise<void>;

function sender(mq: TabMQ, name: string, { time }: VirtualOrigin): Send {
  const producer = mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
  let number = 0;
  return async (topic, queueId, parts) => {
    const messages = parts.map(({ body = "", ...part }): Message => ({ topic, body: `${name} ${number++} ${body}`, ...part }));
    const queue = { topic, brokerName: "broker-a", queueId };
    await time.sleep(20);
    await (await producer).send(messages.length === 1 ? messages[0]! : messages, { queue });
  };
}
