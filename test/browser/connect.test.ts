import { afterEach, describe, expect, test } from "vitest";
import { connect, type ConnectOptions, type MessageExt, type TabMQ } from "../../src/index.ts";
import { untraced } from "../support/untraced.ts";

const opened: TabMQ[] = [];
let next = 0;
const namespace = (): string => `connect-${Date.now()}-${next++}`;

async function open(options: ConnectOptions): Promise<TabMQ> {
  const mq = await connect(untraced(options));
  opened.push(mq);
  return mq;
}

afterEach(() => Promise.all(opened.splice(0).map((mq) => mq.close())));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("connect, from source, over a real SharedWorker", () => {
  test.each(["auto", "shared", "memory"] as const)("host %s: what one connection sends, another consumes", async (host) => {
    const shared = { namespace: namespace(), host };
    const [a, b] = await Promise.all([open(shared), open(shared)]);
    const received: MessageExt[] = [];
    await b.createPushConsumer({ consumerGroup: "g", subscriptions: { orders: "created" }, messageListener: (message) => void received.push(message) });
    const producer = await a.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "orders", body: "no", tags: "paid" });
    const result = await producer.send({ topic: "orders", body: { what: "tea ☕" }, tags: "created", keys: "k", properties: { region: "eu" } });
    await until(() => received.length > 0);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ msgId: result.msgId, tags: "created", keys: ["k"] });
    expect(received[0]!.json()).toEqual({ what: "tea ☕" });
    const { broker, durability } = await a.diagnostics();
    expect([durability, broker.indexer, broker.sessions]).toEqual([host === "memory" ? "memory" : "strict", "wasm", 2]);
  });

  test("namespaces are brokers of their own", async () => {
    const [a, b] = await Promise.all([open({ namespace: namespace() }), open({ namespace: namespace() })]);
    await (await a.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "a" });
    expect(await a.admin.topics()).toHaveLength(1);
    expect(await b.admin.topics()).toEqual([]);
  });

  test("a second connection with a client id that is taken is refused", async () => {
    const shared = { namespace: namespace(), clientId: "me" };
    await open(shared);
    await expect(connect(shared)).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
  });

  test.each([
    ["an object", {}], ["nothing", undefined], ["a promise", Promise.resolve()], ["an event target", new EventTarget()],
    ["a port", new MessageChannel().port1], ["something with half a port", Object.assign(new EventTarget(), { port: {} })],
  ])("a worker that is none is refused at once: %s", async (_name, made) => {
    const began = performance.now();
    await expect(connect({ namespace: namespace(), worker: () => made as SharedWorker })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.worker" });
    // The control is the connect timeout of ten seconds, which this took before.
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("an aborted attempt is over at once", async () => {
    await expect(connect({ namespace: namespace(), signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "CLOSED" });
  });
});
