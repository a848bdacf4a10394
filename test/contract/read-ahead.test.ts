import { afterEach, expect, test } from "vitest";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const MESSAGES = 4000;
const QUEUE = { topic: "t", brokerName: "broker-a", queueId: 0 };

let origin: NodeOrigin;
afterEach(() => origin.close());

/** A store that says what was read of it, and whose `fails`-th read of rows is refused. */
class WatchedStore extends MemoryStore {
  readonly reads: { name: string; position: number; count: number }[] = [];
  fails = 0;

  override readLog(position: number, count: number): ReturnType<MemoryStore["readLog"]> {
    this.reads.push({ name: "readLog", position, count });
    if (--this.fails === 0) return Promise.reject(new DOMException("once", "UnknownError"));
    return super.readLog(position, count);
  }

  override floorLog(position: number): ReturnType<MemoryStore["floorLog"]> {
    this.reads.push({ name: "floorLog", position, count: 1 });
    return super.floorLog(position);
  }
}

/** A backlog of rows of 2 KiB, and a broker that has read nothing of it. */
async function backlog(): Promise<WatchedStore> {
  const disk = new MemoryDisk();
  const fill = new NodeOrigin(disk);
  const mq = await fill.connect();
  await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (let at = 0; at < MESSAGES; at += 2) await producer.send([at, at + 1].map((text) => ({ topic: "t", body: `${text}`.padStart(900) })));
  await mq.close();
  await fill.host.broker!.close();
  await fill.close();
  const store = new WatchedStore(disk);
  origin = new NodeOrigin(disk);
  origin.makeStore = () => store;
  return store;
}

async function readAll(): Promise<number[]> {
  const pull = await (await origin.connect()).createPullConsumer({ consumerGroup: "g" });
  const found: number[] = [];
  for (let next = 0; ; ) {
    const { messages, nextBeginOffset, status } = await pull.pull(QUEUE, "*", next, 256);
    if (status === "NO_NEW_MSG") return found;
    found.push(...messages.map((message) => Number(message.text())));
    next = nextBeginOffset;
  }
}

const all = Array.from({ length: MESSAGES }, (_, at) => at);

test("whoever reads on finds the next rows fetched: one look for where to begin, no row read twice", async () => {
  const store = await backlog();
  await origin.connect();
  store.reads.length = 0;
  expect(await readAll()).toEqual(all);
  const rows = store.reads.filter(({ name }) => name === "readLog");
  // The first miss begins with one row and a search for it; the control is what every miss did before: both, each time.
  expect(store.reads.filter(({ name }) => name === "floorLog").length).toBeLessThanOrEqual(2);
  expect(new Set(rows.map(({ position }) => position)).size).toBe(rows.length);
  expect(rows.length).toBeLessThan(MESSAGES / 2 / 16);
});

test.each([2, 3, 4])("a read ahead that fails (the %d. one) is told to whoever comes for it, and tried again", async (fails) => {
  const store = await backlog();
  await origin.connect();
  store.fails = fails;
  await expect(readAll()).rejects.toMatchObject({ message: expect.stringContaining("once") });
  expect(await readAll()).toEqual(all);
});

test("a damaged row that claims to be longer, the last of what was read ahead, does not hide the one behind it", { timeout: 60_000 }, async () => {
  // As many rows as the first two batches take and the third, which is of another queue; whoever reads the one queue jumps over it.
  const [near, far] = [16 + 128, 16 + 128 + 1024];
  const disk = new MemoryDisk();
  const fill = new NodeOrigin(disk);
  const mq = await fill.connect({ broker: { defaultTopicQueueNums: 2 } });
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (let at = 0; at < far + 10; at++) await producer.send({ topic: "t", body: `${at}` }, { queue: { ...QUEUE, queueId: at < near || at >= far ? 0 : 1 } });
  await fill.host.broker!.close();
  await fill.close();
  const row = [...disk.log.keys()].sort((a, b) => a - b)[far - 1]!;
  const longer = new Uint8Array(disk.log.get(row)!.byteLength + 1000);
  longer.set(disk.log.get(row)!);
  asDamaged(disk, "a row is longer than it was").log.set(row, longer);
  const store = new WatchedStore(disk);
  origin = new NodeOrigin(disk);
  origin.makeStore = () => store;
  expect(await readAll()).toEqual([...all.slice(0, near), ...all.slice(far, far + 10)]);
});
