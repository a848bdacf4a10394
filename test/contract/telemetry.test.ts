/** Spans for OpenTelemetry: a tiny tracer in memory stands for the application's. */
import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { MessageExt, PushConsumerOptions, TabMQ, TelemetryApi, TelemetryContext, TelemetrySpan, TelemetrySpanContext, TelemetrySpanOptions, TelemetryTraceState } from "../../src/index.ts";
import { MemoryIdb, stubKeyRange } from "../support/memory-idb.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

const FIRST = "CONSUME_FROM_FIRST_OFFSET" as const;
const SPAN = Symbol("span");

class MemoryContext implements TelemetryContext {
  readonly #values: ReadonlyMap<symbol, unknown>;
  constructor(values: ReadonlyMap<symbol, unknown> = new Map()) {
    this.#values = values;
  }
  getValue(key: symbol): unknown {
    return this.#values.get(key);
  }
  setValue(key: symbol, value: unknown): MemoryContext {
    return new MemoryContext(new Map(this.#values).set(key, value));
  }
  deleteValue(key: symbol): MemoryContext {
    return this.setValue(key, undefined);
  }
}

class MemoryState implements TelemetryTraceState {
  readonly #text: string;
  constructor(text = "") {
    this.#text = text;
  }
  get(): string | undefined {
    return undefined;
  }
  set(): MemoryState {
    return this;
  }
  unset(): MemoryState {
    return this;
  }
  serialize(): string {
    return this.#text;
  }
}

interface MemorySpan extends TelemetrySpan {
  name: string;
  options: TelemetrySpanOptions;
  parent: TelemetrySpanContext | undefined;
  status: { code: number; message?: string } | null;
  ended: number;
}

/** What an application gives as `@opentelemetry/api`, with an SDK behind it. */
class MemoryTelemetry implements TelemetryApi {
  readonly spans: MemorySpan[] = [];
  readonly #active = new AsyncLocalStorage<TelemetryContext>();
  traceState: MemoryState | undefined;

  readonly trace: TelemetryApi["trace"] = {
    getTracer: () => ({ startSpan: (name, options, context) => this.#start(name, options, context) }),
    setSpan: (context, span) => context.setValue(SPAN, span.spanContext()),
    setSpanContext: (context, spanContext) => context.setValue(SPAN, spanContext),
  };
  readonly context: TelemetryApi["context"] = {
    active: () => this.#active.getStore() ?? new MemoryContext(),
    with: (context, run) => this.#active.run(context, run),
  };
  createTraceState(text?: string): MemoryState {
    return new MemoryState(text);
  }

  /** A span of the application's own. */
  start(name: string): MemorySpan {
    return this.#start(name, { kind: 0, attributes: {} }, this.context.active());
  }

  named(name: string): MemorySpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  #start(name: string, options: TelemetrySpanOptions, context: TelemetryContext): MemorySpan {
    const parent = context.getValue(SPAN) as TelemetrySpanContext | undefined;
    const spanContext: TelemetrySpanContext = {
      traceId: parent?.traceId ?? hex(32), spanId: hex(16), traceFlags: 1, ...(this.traceState !== undefined && { traceState: this.traceState }),
    };
    const span: MemorySpan = {
      name, options: { ...options, attributes: { ...options.attributes } }, parent, status: null, ended: 0,
      spanContext: () => spanContext,
      setAttribute: (key, value) => void (span.options.attributes[key] = value),
      setStatus: (status) => void (span.status = status),
      end: () => void span.ended++,
    };
    this.spans.push(span);
    return span;
  }
}

function hex(digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 15 + 1).toString(16)).join("");
}

let origin: NodeOrigin;
let telemetry: MemoryTelemetry;
let tab: Promise<TabMQ> | null;
beforeAll(stubKeyRange);
beforeEach(() => {
  tab = null;
  origin = new NodeOrigin();
  telemetry = new MemoryTelemetry();
});
afterEach(() => origin.close());

/** One tab. */
const connect = (options = {}) => tab ??= origin.connect({ clientId: "tab", namespace: "shop", telemetry, broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms" }, ...options });
async function listening(options: Partial<PushConsumerOptions>): Promise<void> {
  await (await connect()).createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, consumeFromWhere: FIRST, ...options });
}

test("from the sender's span through the message into the listener", async () => {
  const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
  const received: MessageExt[] = [];
  await listening({
    messageListener: async (message) => {
      received.push(message);
      telemetry.start("in the listener").end();
    },
  });
  const click = telemetry.start("click");
  const inClick = telemetry.trace.setSpan(telemetry.context.active(), click);
  const { msgId } = await telemetry.context.with(inClick, () => producer.send({ topic: "orders", body: "four", tags: "paid", keys: "k1", messageGroup: "m" }));
  await until(() => telemetry.named("process orders")[0]?.ended === 1);
  const [send, process, inside] = ["send orders", "process orders", "in the listener"].map((name) => telemetry.named(name)[0]);
  expect(send!.parent).toEqual(click.spanContext());
  expect(process!.parent).toMatchObject({ traceId: click.spanContext().traceId, spanId: send!.spanContext().spanId, isRemote: true });
  expect(inside!.parent).toEqual(process!.spanContext());
  const about = { "messaging.system": "rocketmq", "messaging.rocketmq.namespace": "shop", "messaging.client.id": "tab", "messaging.destination.name": "orders" };
  const message = { "messaging.message.id": msgId, "messaging.message.body.size": 4, "messaging.rocketmq.message.tag": "paid", "messaging.rocketmq.message.keys": ["k1"], "messaging.rocketmq.message.group": "m" };
  expect(send!.options).toEqual({ kind: 3, attributes: { ...about, ...message, "messaging.operation.name": "send", "messaging.operation.type": "send", "messaging.rocketmq.message.type": "fifo" } });
  expect(process!.options).toEqual({
    kind: 4,
    attributes: { ...about, ...message, "messaging.operation.name": "process", "messaging.operation.type": "process", "messaging.consumer.group.name": "billing", "messaging.rocketmq.consumption_model": "clustering", "messaging.destination.partition.id": "0" },
  });
  expect(telemetry.spans.every((span) => span === click || span.ended === 1)).toBe(true);
  expect(received[0]!.properties.traceparent).toBe(`00-${click.spanContext().traceId}-${send!.spanContext().spanId}-01`);
  expect(received[0]!.properties).not.toHaveProperty("tracestate");
});

test("a failure is the span's; the retry has a span of its own in the same trace", async () => {
  const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
  let tries = 0;
  await listening({ messageListener: () => { if (++tries === 1) throw new Error("out of paper"); } });
  await producer.send({ topic: "orders", body: "x" });
  await until(() => telemetry.named("process orders").filter(({ ended }) => ended === 1).length === 2);
  const [send] = telemetry.named("send orders");
  const [failed, good] = telemetry.named("process orders");
  expect(failed).toMatchObject({ status: { code: 2, message: "out of paper" }, options: { attributes: { "error.type": "EXCEPTION" } } });
  expect(good!.status).toBeNull();
  for (const span of [failed, good]) expect(span!.parent!.spanId).toBe(send!.spanContext().spanId);
});

test("what a listener sends through its context, and what is written into an outbox, carries on the trace it was made in", async () => {
  const mq = await connect();
  const producer = await mq.createProducer({ producerGroup: "checkout" });
  const received: MessageExt[] = [];
  await listening({ messageListener: (_order, context) => void context.send({ topic: "invoices", body: "four", messageGroup: "m" }) });
  await mq.createPushConsumer({ consumerGroup: "post", subscriptions: { invoices: "*" }, consumeFromWhere: FIRST, messageListener: (message) => void received.push(message) });
  await producer.send({ topic: "orders", body: "x" });
  const db = new MemoryIdb(["outbox"]).open();
  const outbox = await mq.outbox(db, "outbox");
  await until(() => telemetry.named("process invoices").length === 1);
  const click = telemetry.start("click");
  telemetry.context.with(telemetry.trace.setSpan(telemetry.context.active(), click), () => outbox.add(db.transaction("outbox", "readwrite"), { topic: "invoices", body: "five!" }));
  await until(() => telemetry.named("process invoices").filter(({ ended }) => ended === 1).length === 2);
  const [listener] = telemetry.named("process orders");
  const made = telemetry.named("create invoices");
  expect(made.map(({ parent, ended }) => [parent, ended])).toEqual([[listener!.spanContext(), 1], [click.spanContext(), 1]]);
  expect(telemetry.named("process invoices").map(({ parent }) => parent!.spanId)).toEqual(made.map((span) => span.spanContext().spanId));
  expect(made[0]!.options).toEqual({ kind: 3, attributes: expect.objectContaining({ "messaging.operation.name": "create", "messaging.operation.type": "create", "messaging.message.id": received[0]!.msgId, "messaging.message.body.size": 4, "messaging.rocketmq.message.group": "m" }) });
});

test("a batch: one span, linked to what each message comes from", async () => {
  const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
  await producer.send({ topic: "orders", body: "a" });
  await producer.send([{ topic: "orders", body: "b" }, { topic: "orders", body: "c" }]);
  await listening({ consumeMessageBatchMaxSize: 32, batchListener: () => {} });
  await until(() => telemetry.named("process orders")[0]?.ended === 1);
  const sends = telemetry.named("send orders").map((span) => span.spanContext().spanId);
  const [process] = telemetry.named("process orders");
  expect(process!.parent).toBeUndefined();
  expect(process!.options.links!.map(({ context }) => context.spanId)).toEqual([sends[0], sends[1], sends[1]]);
  expect(process!.options.attributes["messaging.batch.message_count"]).toBe(3);
  expect(telemetry.named("send orders")[1]!.options.attributes).toMatchObject({ "messaging.batch.message_count": 2 });
});

test("simple and pull consumers receive, linked to what they have received", async () => {
  const mq = await connect();
  const producer = await mq.createProducer({ producerGroup: "checkout" });
  telemetry.traceState = new MemoryState("vendor=1");
  const simple = await mq.createSimpleConsumer({ consumerGroup: "simple", subscriptions: { orders: "*" }, consumeFromWhere: FIRST });
  const pull = await mq.createPullConsumer({ consumerGroup: "pull", consumeFromWhere: FIRST });
  void pull.subscribe("orders");
  await simple.receive({ awaitDuration: 0 });
  expect(telemetry.named("receive orders")).toEqual([]);
  await producer.send({ topic: "orders", body: "x" });
  await simple.receive();
  await pull.poll();
  const [send] = telemetry.named("send orders");
  const receives = telemetry.named("receive orders");
  expect(receives.map(({ options }) => options.attributes["messaging.consumer.group.name"])).toEqual(["simple", "pull"]);
  for (const { options, ended } of receives) {
    expect(ended).toBe(1);
    expect(options.kind).toBe(2);
    expect(options.links![0]!.context).toMatchObject({ spanId: send!.spanContext().spanId });
    expect(options.links![0]!.context.traceState!.serialize()).toBe("vendor=1");
  }
});

test("a send that fails", async () => {
  const producer = await (await connect({ broker: { autoCreateTopicEnable: false } })).createProducer({ producerGroup: "checkout" });
  await expect(producer.send({ topic: "nowhere", body: "x" })).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
  expect(telemetry.named("send nowhere")[0]).toMatchObject({ ended: 1, status: { code: 2 }, options: { attributes: { "error.type": "TOPIC_NOT_EXIST" } } });
});

describe("bad input", () => {
  const parentOf = async (properties: Record<string, string>): Promise<TelemetrySpanContext | undefined> => {
    const plain = await origin.connect({ namespace: "shop" });
    await (await plain.createProducer({ producerGroup: "checkout" })).send({ topic: "orders", body: "x", properties });
    await listening({ messageListener: () => {} });
    await until(() => telemetry.named("process orders")[0]?.ended === 1);
    return telemetry.named("process orders")[0]!.parent;
  };
  const [traceId, spanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];

  test.each([
    ["none", ""], ["no such text", "hello"], ["ids of zeros", `00-${"0".repeat(32)}-${spanId}-01`], ["a span of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
    ["capital digits", `00-${traceId.toUpperCase()}-${spanId}-01`], ["a version that cannot be", `ff-${traceId}-${spanId}-01`], ["more than version 0 has", `00-${traceId}-${spanId}-01-x`],
  ])("traceparent with %s: the listener's span has no parent", async (_what, traceparent) => {
    expect(await parentOf(traceparent === "" ? {} : { traceparent })).toBeUndefined();
  });

  test("control: a good one, of a version to come, is taken", async () => {
    expect(await parentOf({ traceparent: `01-${traceId}-${spanId}-01-more`, tracestate: "x".repeat(600) })).toEqual({ traceId, spanId, traceFlags: 1, isRemote: true });
  });

  test("what the application has set itself stays", async () => {
    const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
    const traceparent = `00-${traceId}-${spanId}-00`;
    await producer.send({ topic: "orders", body: "x", properties: { traceparent } });
    await listening({ messageListener: () => {} });
    await until(() => telemetry.named("process orders")[0]?.ended === 1);
    expect(telemetry.named("process orders")[0]!.parent).toMatchObject({ traceId, spanId, traceFlags: 0 });
  });

  test("a message without room for it goes without", async () => {
    const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
    const { msgId } = await producer.send({ topic: "orders", body: "x", properties: { long: "x".repeat(30_600) } });
    expect((await (await connect()).admin.viewMessage(msgId)).properties).not.toHaveProperty("traceparent");
  });

  test("a telemetry that throws, or gives ids that are none, harms no message", async () => {
    const producer = await (await connect()).createProducer({ producerGroup: "checkout" });
    const bodies: string[] = [];
    vi.spyOn(telemetry.trace, "setSpanContext").mockImplementation(() => {
      throw new Error("broken");
    });
    await listening({ messageListener: (message) => void bodies.push(message.text()) });
    await producer.send({ topic: "orders", body: "a" });
    vi.spyOn(telemetry, "createTraceState").mockImplementation(() => {
      throw new Error("broken");
    });
    await producer.send({ topic: "orders", body: "b", properties: { traceparent: `00-${traceId}-${spanId}-00`, tracestate: "a=b" } });
    await until(() => bodies.length === 2);
    expect(telemetry.named("process orders")).toEqual([]);
  });

  test.each([[{}], ["api"], [{ trace: {}, context: {} }]])("no module of OpenTelemetry: refused", async (wrong) => {
    await expect(connect({ telemetry: wrong })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.telemetry" });
  });
});

test("without it: nothing in the message", async () => {
  const mq = await origin.connect();
  const producer = await mq.createProducer({ producerGroup: "checkout" });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  expect((await mq.admin.viewMessage(msgId)).properties).toEqual({});
  expect(telemetry.spans).toEqual([]);
});
