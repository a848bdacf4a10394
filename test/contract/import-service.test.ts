/** The broker's side of an import, given what no honest client sends. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { MAX_DIRTY_PAGES, MAX_QUEUE_GAPS, MAX_SETBACKS, MAX_TOPICS, QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { MANIFEST_TOPIC } from "../../src/model/log-manifest.ts";
import { TIMER_GROUP, WHEEL_TOPIC } from "../../src/model/system-names.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { copyOf } from "../support/memory-disk.ts";
import { checkStore } from "../support/store-check.ts";
import { encodeRecord, plainCrc32, type RecordParts } from "../unit/records.ts";

const ID = "log-1";
const utf8 = new TextEncoder();
let origin: NodeOrigin;
let mq: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect();
});
afterEach(() => origin.close());

const service = () => origin.host.broker!.imports;

function record(queueOffset: number, parts: RecordParts = {}): Uint8Array {
  const body = parts.body ?? utf8.encode(`message ${queueOffset}`);
  return encodeRecord({ topic: "t", queueOffset: BigInt(queueOffset), storeTimestamp: 5n, properties: "UNIQ_KEY\u0001X\u0002", bodyCrc: plainCrc32(body) & 0x7fffffff, ...parts, body });
}

function take(records: Uint8Array[], id = ID): Promise<{ stored: number }> {
  return service().records({ id, frame: frameOf(records, records.reduce((sum, { byteLength }) => sum + byteLength, 0)) });
}

describe("records", () => {
  test("without an import that has begun, nothing is taken", async () => {
    await expect(take([record(0)])).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "id" });
    await service().begin(ID);
    await expect(take([record(0)], "another")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "id" });
    await expect(service().end({ id: "another", topics: [], offsets: [] })).rejects.toMatchObject({ field: "id" });
    expect(await take([record(0)])).toEqual({ stored: 1 });
    await service().end({ id: ID, topics: [], offsets: [] });
    await expect(take([record(1)])).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "id" });
    // Repeated, because its answer was lost.
    await service().end({ id: ID, topics: [], offsets: [] });
  });

  test.each<[string, () => Uint8Array, string]>([
    ["a damaged body", () => record(1, { bodyCrc: 1 }), "BAD_CRC"],
    ["an offset of before", () => record(0), "holds another message, or was given away"],
    ["a queue that no topic can have", () => record(1, { queueId: 128 }), "at most 128 queues"],
    ["a name that is none", () => record(1, { topic: "a b" }), "no topic's name"],
    ["an offset behind which there is none", () => record(2 ** 53 - 1), "the queue could not go on"],
    ["a store time of before 1970", () => record(1, { storeTimestamp: -1n }), "no time"],
    ["a store time that is no number here", () => record(1, { storeTimestamp: 2n ** 62n }), "no time"],
    ["a manifest among the messages", () => record(1, { topic: MANIFEST_TOPIC }), "not a topic of messages"],
  ])("a frame is taken whole or not at all: %s", async (_name, wrong, reason) => {
    await service().begin(ID);
    const first = record(0);
    await expect(take([first, wrong(), record(7)])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", position: first.byteLength, message: expect.stringContaining(reason) as string });
    expect(origin.disk.log.size).toBe(0);
    expect(await take([first, record(1)])).toEqual({ stored: 2 });
    // The same again is stored already, and more of it is not.
    expect(await take([first, record(1), record(2)])).toEqual({ stored: 1 });
    await expect(take([record(1, { body: utf8.encode("message X") })])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", position: 0 });
    await expect(take([record(1, { storeTimestamp: 6n })])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", position: 0 });
    await service().end({ id: ID, topics: [{ topic: "t", readQueueNums: 1, writeQueueNums: 1 }], offsets: [] });
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const { messages } = await pull.pull({ topic: "t", brokerName: "broker-a", queueId: 0 }, "*", 0, 10);
    expect(messages.map((message) => message.text())).toEqual(["message 0", "message 1", "message 2"]);
  });

  test("offsets that were left out stay left out, and every record keeps its own store time", async () => {
    await service().begin(ID);
    await take([record(3, { storeTimestamp: 100n }), record(4, { storeTimestamp: 200n }), record(9000, { storeTimestamp: 200n }), record(0, { queueId: 1, storeTimestamp: 200n })]);
    await service().end({ id: ID, topics: [{ topic: "t", readQueueNums: 2, writeQueueNums: 2 }], offsets: [] });
    const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    // The exported log had been cut: its copy begins where it did.
    expect(await mq.admin.minOffset(queue)).toBe(3);
    const { messages } = await pull.pull(queue, "*", 3, 10);
    expect(messages.map(({ queueOffset, storeTimestamp }) => [queueOffset, storeTimestamp])).toEqual([[3, 100], [4, 200], [9000, 200]]);
    expect(await mq.admin.maxOffset(queue)).toBe(9001);
    expect(await mq.admin.searchOffset(queue, 101)).toBe(4);
    expect(checkStore(origin.disk, { holes: true })).toEqual([]);
    // And with a checkpoint that lists the gap, which the checker at the end reads.
    await until(() => origin.disk.state.has("checkpoint"));
    const { queues } = origin.disk.state.get("checkpoint") as { queues: unknown[] };
    expect(queues).toContainEqual(["t", 0, 3, 9001, 9001, [[5, 9000]]]);
    const next = new NodeOrigin(copyOf(origin.disk));
    const again = await next.connect();
    expect([await again.admin.minOffset(queue), await again.admin.maxOffset(queue)]).toEqual([3, 9001]);
    await next.close();
  });

  test("where exactly a page is left out behind a whole one, nobody reads the log for it", async () => {
    await service().begin(ID);
    const page = (at: number): Uint8Array[] => Array.from({ length: QUEUE_PAGE_ENTRIES }, (_, entry) => record(at * QUEUE_PAGE_ENTRIES + entry));
    await take([...page(0), ...page(2)]);
    await service().end({ id: ID, topics: [{ topic: "t", readQueueNums: 1, writeQueueNums: 1 }], offsets: [] });
    await until(() => origin.disk.state.has("checkpoint"));
    const walks = vi.spyOn(CommitLog.prototype, "rows");
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const { messages } = await pull.pull({ topic: "t", brokerName: "broker-a", queueId: 0 }, "*", QUEUE_PAGE_ENTRIES - 1, 2);
    expect(messages.map(({ queueOffset }) => queueOffset)).toEqual([QUEUE_PAGE_ENTRIES - 1, 2 * QUEUE_PAGE_ENTRIES]);
    expect(walks).not.toHaveBeenCalled();
    walks.mockRestore();
  });

  /** Every hole is a page in memory until the next checkpoint, every wide one an entry of the checkpoint for good. */
  test.each([["wide", 2000, MAX_QUEUE_GAPS + 1], ["narrow", 1000, MAX_DIRTY_PAGES * 1.1]])("offsets with too many %s holes are refused; as many as may be are stored and soon have a checkpoint", async (_name, width, most) => {
    await service().begin(ID);
    const small = (count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => record(at * width, { body: new Uint8Array(1) }));
    await expect(take(small(Math.ceil(most) + 100))).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringContaining("leave out") as string });
    expect(origin.disk.log.size).toBe(0);
    const fewer = Math.floor(most * 0.9);
    expect(await take(small(fewer))).toEqual({ stored: fewer });
    await service().end({ id: ID, topics: [], offsets: [] });
    expect(await mq.admin.maxOffset({ topic: "t", brokerName: "broker-a", queueId: 0 })).toBe((fewer - 1) * width + 1);
  });

  /** Each makes a segment of the key index, which every checkpoint lists. */
  test.each([["one frame", 5000, 0], ["frames of two", 2, 0], ["frames of one", 1, 1]])("times that go back too often are refused, in %s; as often as may be is stored", async (_name, perFrame, more) => {
    await service().begin(ID);
    const times = (from: number, count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => record(from + at, { storeTimestamp: (from + at) % 2 === 0 ? 2000n : 1000n, body: new Uint8Array(1) }));
    const most = 2 * MAX_SETBACKS;
    const takeUpTo = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += perFrame) await take(times(at, Math.min(perFrame, to - at)));
    };
    await takeUpTo(0, most);
    await expect(takeUpTo(most, most + 4)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringContaining("go back") as string });
    await service().end({ id: ID, topics: [], offsets: [] });
    expect(await mq.admin.maxOffset({ topic: "t", brokerName: "broker-a", queueId: 0 })).toBe(most + more);
  });

  test("control: as many times that only rise are taken", async () => {
    await service().begin(ID);
    const count = 2 * MAX_SETBACKS + 4;
    await expect(take(Array.from({ length: count }, (_, at) => record(at, { storeTimestamp: BigInt(at) })))).resolves.toEqual({ stored: count });
    await service().end({ id: ID, topics: [], offsets: [] });
  });

  test("times that go back are those of the exported log: the store is sound; control: without an import it is not", async () => {
    await service().begin(ID);
    await take([record(0, { storeTimestamp: 500n }), record(1, { storeTimestamp: 300n }), record(2, { storeTimestamp: 400n })]);
    await service().end({ id: ID, topics: [], offsets: [] });
    expect(checkStore(origin.disk)).toEqual([]);
    const own = copyOf(origin.disk);
    own.state.delete("import");
    expect(checkStore(own).map(({ code }) => code)).toEqual(["TIME_BACKWARDS"]);
  });
});

describe("topics and groups", () => {
  test("a group is never put behind the end of a queue: what will stand there is new to it", async () => {
    await service().begin(ID);
    await take([record(0), record(1)]);
    const topics = [{ topic: "t", readQueueNums: 2, writeQueueNums: 2 }];
    await service().end({ id: ID, topics, offsets: [{ group: "g", topic: "t", offsets: [[0, 50], [1, 3], [99, 1]] }] });
    expect((await mq.admin.consumeStats("g")).queues.map(({ consumerOffset }) => consumerOffset)).toEqual([2, 0]);
  });

  test("a topic whose queue begins far up is deleted in a bounded number of steps", async () => {
    await service().begin(ID);
    const far = 2 ** 40;
    await take([record(far)]);
    await service().end({ id: ID, topics: [{ topic: "t", readQueueNums: 1, writeQueueNums: 1 }], offsets: [] });
    const commits = vi.spyOn(MemoryStore.prototype, "commit");
    await mq.admin.deleteTopic("t");
    await until(() => (origin.disk.state.get("deleted/t") as { isUnswept: boolean } | undefined)?.isUnswept === false || commits.mock.calls.length > 5000);
    const steps = commits.mock.calls.map(([{ remove }]) => remove?.queue?.[0]?.pages).filter((pages) => pages !== undefined);
    commits.mockRestore();
    expect(steps.length).toBeLessThanOrEqual(1024);
    expect(steps.at(-1)![1]).toBe(far / QUEUE_PAGE_ENTRIES + 1);
  });

  test("however many timers a log says are finished: only those that there are cost anything", async () => {
    const due = Date.now() + 60_000;
    const timer = (queueOffset: number): Uint8Array => record(queueOffset, { topic: WHEEL_TOPIC, properties: `UNIQ_KEY\u0001X${queueOffset}\u0002REAL_TOPIC\u0001t\u0002REAL_QID\u00010\u0002TIMER_OUT_MS\u0001${due}\u0002` });
    const far = 2 ** 40;
    await service().begin(ID);
    await take([7, 8, 20_000, far, far + 9000, far + 9001].map(timer));
    // The first, one in a row of its own, and all but the last of those far away.
    await service().end({ id: ID, topics: [], offsets: [{ group: TIMER_GROUP, topic: WHEEL_TOPIC, offsets: [], done: [[0, [[0, 8], [9, far + 9001]]]] }] });
    const pending = async (): Promise<number> => (await mq.diagnostics()).broker.timers.pending;
    await until(async () => (await pending()) === 2);
    expect([...origin.disk.state.keys()].filter((key) => key.startsWith("timers/"))).toHaveLength(4);
    await origin.close();
    origin = new NodeOrigin(origin.disk);
    mq = await origin.connect();
    await until(async () => (await pending()) === 2);
  });

  test("queues of which the list knows nothing can be read all the same", async () => {
    await service().begin(ID);
    await take([record(0, { queueId: 5 }), record(0, { topic: "unlisted" })]);
    await service().end({ id: ID, topics: [{ topic: "t", readQueueNums: 1, writeQueueNums: 1 }], offsets: [] });
    expect((await mq.admin.topics()).map(({ topic, readQueueNums }) => [topic, readQueueNums])).toEqual([["t", 6], ["unlisted", 4]]);
  });

  test("more topics than a broker can have are refused, whoever names them; and what is stored keeps no start from serving", { timeout: 60_000 }, async () => {
    const unlisted = (from: number, count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => record(0, { topic: `t${from + at}` }));
    await service().begin(ID);
    await take(unlisted(0, MAX_TOPICS - 1));
    await expect(take(unlisted(MAX_TOPICS - 2, 3))).rejects.toMatchObject({ code: "FLOW_CONTROL" });
    const topics = ["x", "y"].map((topic) => ({ topic, readQueueNums: 1, writeQueueNums: 1 }));
    await expect(service().end({ id: ID, topics, offsets: [] })).rejects.toMatchObject({ code: "FLOW_CONTROL" });
    await service().end({ id: ID, topics: topics.slice(1), offsets: [] });
    expect(await mq.admin.topics()).toHaveLength(MAX_TOPICS);
    await origin.close();
    // As a build that did not count them has left it.
    origin.disk.state.set("topic/one-more", { ...(origin.disk.state.get("topic/y") as object), topic: "one-more" });
    origin.disk.state.delete("topic/t0");
    origin = new NodeOrigin(origin.disk);
    mq = await origin.connect();
    expect(await mq.admin.topics()).toHaveLength(MAX_TOPICS + 1);
  });

  test("a full store refuses, and what was refused is not there", async () => {
    await service().begin(ID);
    const { GatedStore } = await import("../support/gated-store.ts");
    await origin.close();
    origin = new NodeOrigin(origin.disk);
    const store = new GatedStore(origin.disk);
    origin.makeStore = () => store;
    mq = await origin.connect();
    store.answerNext({ status: "rejected", reason: "FULL" });
    await expect(take([record(0)])).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
    expect(origin.disk.log.size).toBe(0);
  });
});
