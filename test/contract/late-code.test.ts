import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as code from "../../src/client/clients.ts";
import { open } from "../../src/client/connect.ts";
import type { LoadCode, TabMQ } from "../../src/client/tabmq.ts";
import { deferred } from "../../src/platform/deferred.ts";
import { NodeOrigin } from "../support/node-broker.ts";

let origin: NodeOrigin;
let tabs: TabMQ[];

beforeEach(() => {
  origin = new NodeOrigin();
  tabs = [];
});

afterEach(async () => {
  await Promise.all(tabs.map((tab) => tab.close().catch(() => {})));
  await origin.close();
});

async function connect(load: LoadCode): Promise<TabMQ> {
  const mq = await open(() => origin.environment(), {}, load);
  tabs.push(mq);
  return mq;
}

/** In a page, what sends and consumes is loaded behind `connect`. */
describe("code that comes later", () => {
  test("is asked for by connect itself, and waited for by who needs it", async () => {
    const coming = deferred<typeof code>();
    let asked = 0;
    const mq = await connect(() => (asked++, coming.promise));
    // Without anybody who wants to send yet: there may be no network when they do.
    expect(asked).toBeGreaterThan(0);
    await mq.admin.createTopic({ topic: "orders" });
    expect((await mq.admin.topics()).map(({ topic }) => topic)).toContain("orders");
    expect((await mq.diagnostics()).trace).toEqual({ written: 0, dropped: 0 });
    await mq.flush();

    const order: string[] = [];
    const making = mq.createProducer({ producerGroup: "p" }).then((producer) => (order.push("producer"), producer));
    const querying = mq.admin.queryMessages({ topic: "orders", key: "k" }).then((found) => (order.push("query"), found));
    const exported = new Response(mq.admin.exportLog()).arrayBuffer();
    const begun = new Promise((resolve) => setTimeout(resolve, 20));
    await begun;
    expect(order).toEqual([]);
    coming.resolve(code);
    const producer = await making;
    expect(await querying).toEqual([]);
    await producer.send({ topic: "orders", body: "one", keys: "k" });
    expect(await mq.admin.queryMessages({ topic: "orders", key: "k" })).toHaveLength(1);
    expect((await exported).byteLength).toBeGreaterThan(100);
  });

  test("that does not come is an error, and the next who needs it tries again", async () => {
    let isThere = false;
    const mq = await connect(async () => {
      if (!isThere) throw new TypeError("Failed to fetch dynamically imported module");
      return code;
    });
    await expect(mq.createProducer({ producerGroup: "p" })).rejects.toMatchObject({ name: "MQError", code: "UNSUPPORTED_ENVIRONMENT", cause: expect.any(TypeError) });
    await expect(new Response(mq.admin.exportLog()).arrayBuffer()).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT" });
    isThere = true;
    const producer = await mq.createProducer({ producerGroup: "p" });
    expect((await producer.send({ topic: "t", body: "x" })).queueOffset).toBe(0);
  });

  test("keeps no close waiting, and makes nothing for a connection that is closed", async () => {
    const coming = deferred<typeof code>();
    const mq = await connect(() => coming.promise);
    const making = mq.createProducer({ producerGroup: "p" });
    await mq.close();
    coming.resolve(code);
    await expect(making).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("nor for a namespace that was destroyed meanwhile", async () => {
    const coming = deferred<typeof code>();
    const mq = await connect(() => coming.promise);
    const other = await origin.connect();
    await other.admin.destroy();
    await expect(mq.admin.topics()).rejects.toMatchObject({ code: "CLOSED" });
    coming.resolve(code);
    await expect(mq.createProducer({ producerGroup: "p" })).rejects.toMatchObject({ code: "CLOSED", message: expect.stringContaining("destroyed") });
  });

  test("telemetry that was asked for waits for it, and connect is refused without it", async () => {
    const api = { trace: { getTracer() {}, setSpan() {}, setSpanContext() {} }, context: { active() {}, with() {} } } as never;
    await expect(open(() => origin.environment(), { telemetry: api }, () => Promise.reject(new TypeError("no network")))).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT" });
  });
});
