/** defineTopic: a topic's bodies with their type, and their check where one is wanted. */
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { defineTopic, type MessageExt, type StandardSchema, type TabMQ, type TopicDefinition } from "../../src/index.ts";
import { createTestBroker, type TestBroker } from "../../src/testing/index.ts";

interface Order {
  id: number;
  what: string;
}

/** As a library for schemas makes one. */
const orderSchema: StandardSchema<Order> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) => {
      const { id, what } = value as Partial<Order>;
      return typeof id === "number" && typeof what === "string" ? { value: { id, what } } : { issues: [{ message: "id: a number" }, { message: "what: a text" }] };
    },
  },
};

const FIRST = "CONSUME_FROM_FIRST_OFFSET" as const;
let broker: TestBroker;
let mq: TabMQ;
beforeEach(async () => {
  broker = createTestBroker();
  mq = await broker.connect();
});
afterEach(() => broker.close());

test("bodies come as they were sent: JSON, text, bytes", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const [orders, notes, files] = [defineTopic<Order>("orders"), defineTopic<string>("notes"), defineTopic<Uint8Array>("files")];
  const got: unknown[] = [];
  await orders.subscribe(mq, { consumerGroup: "a", consumeFromWhere: FIRST, filter: "new", listener: (order, message) => void got.push(order.what, message.tags) });
  await notes.subscribe(mq, { consumerGroup: "b", consumeFromWhere: FIRST, listener: (note) => void got.push(note) });
  await files.subscribe(mq, { consumerGroup: "c", consumeFromWhere: FIRST, listener: (file) => void got.push(file.byteLength) });
  await orders.send(producer, { id: 7, what: "tea" }, { tags: "new", keys: "o-7" });
  await orders.send(producer, { id: 8, what: "old" }, { tags: "old" });
  await notes.send(producer, "hello");
  await producer.send([files.message(new Uint8Array(3))]);
  await broker.clock.advance(1000);
  expect(got.sort()).toEqual([3, "hello", "new", "tea"].sort());
});

test("a schema that is a function is a schema: what it answers about a wrong body is no body", async () => {
  const callable = Object.assign((body: unknown): unknown => ({ problems: body }), orderSchema) as unknown as StandardSchema<Order>;
  const orders = defineTopic("orders", { parse: callable });
  const producer = await mq.createProducer({ producerGroup: "p" });
  const { msgId } = await producer.send({ topic: "orders", body: { id: "seven" } });
  await expect(orders.parse(await mq.admin.viewMessage(msgId))).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
});

test("what does not parse fails as a listener that throws: tried again, or skipped, as exceptionPolicy says", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const orders = defineTopic("orders", { parse: orderSchema });
  const got: number[] = [];
  const errors: string[] = [];
  for (const exceptionPolicy of ["retry", "skip"] as const) {
    const consumer = await orders.subscribe(mq, { consumerGroup: exceptionPolicy, consumeFromWhere: FIRST, exceptionPolicy, maxReconsumeTimes: 0, listener: ({ id }) => void got.push(id) });
    consumer.on("error", ({ message }) => errors.push(message));
  }
  await producer.send({ topic: "orders", body: { id: "seven" } });
  await orders.send(producer, { id: 8, what: "tea" });
  await broker.clock.advance(1000);
  expect(got).toEqual([8, 8]);
  expect(errors).toHaveLength(2);
  const [letter] = await mq.admin.deadLetters("retry");
  expect(letter!.properties["DLQ_ERROR"]).toMatch(/^The body of message \w+ is not what topic "orders" is defined to have: id: a number; what: a text$/);
  expect(await mq.admin.deadLetters("skip")).toEqual([]);
});

test("a function parses too, and what it returns is what the listener gets", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const orders = defineTopic<{ at: Date }>("orders", { parse: (body) => ({ at: new Date((body as { at: string }).at) }) });
  const got: Date[] = [];
  await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { orders: "*" }, consumeFromWhere: FIRST, messageListener: orders.listener(({ at }) => void got.push(at)) });
  await orders.send(producer, { at: new Date(0) });
  await broker.clock.advance(1000);
  expect(got).toEqual([new Date(0)]);
  const pull = await mq.createPullConsumer({ consumerGroup: "h" });
  const queues = await pull.fetchQueues("orders");
  const found: MessageExt[] = [];
  for (const queue of queues) found.push(...(await pull.pull(queue, "*", 0, 10)).messages);
  expect(await orders.parse(found[0]!)).toEqual({ at: new Date(0) });
});

test("a name that is none is refused where it is defined", () => {
  expect(() => defineTopic("or ders")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
});

test("types: who sends and who listens are held to the body's", () => {
  const orders = defineTopic<Order>("orders");
  const checked = defineTopic("orders", { parse: orderSchema });
  expectTypeOf(checked).toEqualTypeOf<TopicDefinition<Order>>();
  expectTypeOf(orders.send).parameter(1).toEqualTypeOf<Order>();
  expectTypeOf(orders.parse).returns.resolves.toEqualTypeOf<Order>();
  expectTypeOf(orders.subscribe).parameter(1).toHaveProperty("listener").parameter(0).toEqualTypeOf<Order>();
  // @ts-expect-error -- a field is missing
  expect(orders.message({ id: 1 })).toMatchObject({ topic: "orders" });
  // @ts-expect-error -- a definition knows its topic
  expect(orders.message({ id: 1, what: "x" }, { topic: "other" }).topic).toBe("orders");
});
