import { afterEach, expect, test } from "vitest";
import { connect, type ConnectOptions, ImportError, type MessageExt, type MessageQueue, type TabMQ } from "../../src/index.ts";
import { untraced } from "../support/untraced.ts";

const opened: TabMQ[] = [];
let next = 0;

async function open(options: ConnectOptions = {}): Promise<TabMQ> {
  const mq = await connect(untraced({ namespace: `export-${Date.now()}-${next++}`, ...options }));
  opened.push(mq);
  return mq;
}

afterEach(() => Promise.all(opened.splice(0).map((mq) => mq.close())));

async function messagesOf(mq: TabMQ, topic: string): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: MessageExt[] = [];
  for (const queue of await pull.fetchQueues(topic)) {
    for (let offset = 0; ; ) {
      const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
      all.push(...messages);
      if (status === "NO_NEW_MSG") break;
      offset = nextBeginOffset;
    }
  }
  return all;
}

const place = ({ msgId, queueId, queueOffset, storeTimestamp, bodyCRC }: MessageExt): unknown[] => [msgId, queueId, queueOffset, storeTimestamp, bodyCRC];

async function filled(): Promise<TabMQ> {
  const mq = await open();
  const producer = await mq.createProducer({ producerGroup: "p" });
  await Promise.all(Array.from({ length: 3000 }, (_, at) => producer.send({ topic: "orders", body: { id: at }, tags: at % 2 === 0 ? "even" : "odd" })));
  await producer.send({ topic: "orders", body: new Uint8Array(4 * 2 ** 20).fill(7), tags: "long" });
  const pull = await mq.createPullConsumer({ consumerGroup: "billing", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  pull.subscribe("orders");
  await pull.poll({ max: 100 });
  await pull.commit();
  await pull.shutdown();
  return mq;
}

test("one namespace's messages, topics and groups, in another", async () => {
  const mq = await filled();
  const other = await open();
  expect(await other.admin.importLog(mq.admin.exportLog())).toEqual({ imported: 3001, topics: 1, damaged: 0 });
  const [before, after] = [await messagesOf(mq, "orders"), await messagesOf(other, "orders")];
  expect(before).toHaveLength(3001);
  expect(after.map(place)).toEqual(before.map(place));
  expect((await other.admin.consumeStats("billing")).queues).toEqual((await mq.admin.consumeStats("billing")).queues);
  const queue: MessageQueue = { topic: "orders", brokerName: "broker-a", queueId: 0 };
  const first = after.find(({ queueId }) => queueId === 0)!;
  expect(await other.admin.searchOffset(queue, first.storeTimestamp)).toBe(0);
  const { broker, durability } = await other.diagnostics();
  expect([broker.indexer, durability]).toEqual(["wasm", "strict"]);
});

test("through a file: a blob holds it, another that is damaged is refused", async () => {
  const mq = await filled();
  const blob = await new Response(mq.admin.exportLog() as ReadableStream<Uint8Array<ArrayBuffer>>).blob();
  expect(blob.size).toBeGreaterThan(4 * 2 ** 20);
  expect(await (await open()).admin.importLog(blob.stream())).toMatchObject({ imported: 3001 });
  const cut = await (await open()).admin.importLog(blob.slice(0, -1000).stream()).catch((error: unknown) => error);
  expect(cut).toBeInstanceOf(ImportError);
  expect(cut).toMatchObject({ code: "MESSAGE_ILLEGAL", field: "importLog.stream" });
});
