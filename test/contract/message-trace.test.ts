/** One message's life, put together from the log and from what tabs have told. */
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { TraceRetention } from "../../src/broker/trace-retention.ts";
import type { BrokerPort } from "../../src/client/environment.ts";
import { Tracer } from "../../src/client/tracer.ts";
import type { MessageTrace, Producer, PushConsumerOptions, TabMQ, TraceEvent, TraceEventType } from "../../src/index.ts";
import { MAX_TRACE_EVENTS, MAX_TRACE_MESSAGES, QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { TRACE_TOPIC } from "../../src/model/system-names.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { MemoryIdb, stubKeyRange } from "../support/memory-idb.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const BROKER = { traceEnable: true, defaultTopicQueueNums: 1, messageDelayLevel: "1ms" };

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeAll(stubKeyRange);
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ clientId: "tab-1", broker: BROKER });
  producer = await mq.createProducer({ producerGroup: "checkout" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const FIRST = "CONSUME_FROM_FIRST_OFFSET" as const;

function consume(options: Partial<PushConsumerOptions> & Pick<PushConsumerOptions, "messageListener">, tab = mq) {
  return tab.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, consumeFromWhere: FIRST, ...options });
}

/** As soon as it has this many events of the type. */
async function traceWith(msgId: string, type: TraceEventType, count = 1, tab = mq): Promise<MessageTrace> {
  await until(async () => {
    const trace = await tab.admin.messageTrace(msgId);
    return trace.events.filter((event) => event.type === type && (event.type !== "CONSUME" || event.costTime !== undefined)).length >= count;
  });
  // What this tab was about to tell then, it tells first.
  return tab.admin.messageTrace(msgId);
}

const failForGood: PushConsumerOptions["messageListener"] = (_message, context) => {
  context.delayLevelWhenNextConsume = -1;
  return "RECONSUME_LATER";
};

const types = ({ events }: MessageTrace): string[] => events.map(({ type }) => type);
function all<Type extends TraceEventType>({ events }: MessageTrace, type: Type): Extract<TraceEvent, { type: Type }>[] {
  return events.filter((event): event is Extract<TraceEvent, { type: Type }> => event.type === type);
}
function expectInOrder({ events }: MessageTrace): void {
  expect(events.map(({ time }) => time)).toEqual(events.map(({ time }) => time).sort((a, b) => a - b));
}

test("sent, stored, delivered, failed, tried again, consumed: who, where, when", async () => {
  const other = await origin.connect({ clientId: "tab-2", broker: BROKER });
  let tries = 0;
  const listener: PushConsumerOptions["messageListener"] = () => {
    if (++tries === 1) throw new Error("the printer is on fire");
  };
  await consume({ messageListener: listener }, other);
  const began = Date.now();
  const { msgId, offsetMsgId } = await producer.send({ topic: "orders", body: "x" });
  // What the other tab has to tell it tells by itself.
  const trace = await traceWith(msgId, "CONSUME", 2);
  expectInOrder(trace);
  expect(trace).toMatchObject({ msgId, topic: "orders", producer: { clientId: "tab-1", group: "checkout" } });
  expect(types(trace)).toEqual(["SEND", "STORE", "DELIVER", "CONSUME", "RETRY", "STORE", "DELIVER", "CONSUME"]);
  const [send, store, , failed, retry, due, , consumed] = trace.events;
  expect(send).toEqual({ type: "SEND", time: expect.any(Number), clientId: "tab-1", group: "checkout" });
  expect(store).toMatchObject({ topic: "orders", queueId: 0, queueOffset: 0, offsetMsgId });
  expect(failed).toMatchObject({ clientId: "tab-2", group: "billing", attempt: 1, success: false, returnType: "EXCEPTION", reason: "the printer is on fire" });
  expect(retry).toMatchObject({ group: "billing", reconsumeTimes: 1, topic: "SCHEDULE_TOPIC_XXXX" });
  expect(due).toMatchObject({ topic: "%RETRY%billing", queueId: 0, queueOffset: 0 });
  expect(consumed).toMatchObject({ clientId: "tab-2", group: "billing", attempt: 2, success: true, returnType: "SUCCESS" });
  for (const { time } of trace.events) expect(time).toBeGreaterThanOrEqual(began);
  for (const { time } of trace.events) expect(time).toBeLessThanOrEqual(Date.now());
});

test("a dead letter, with its reason, and sent once more", async () => {
  let isBroken = true;
  await consume({
    messageListener: (_message, context) => {
      context.delayLevelWhenNextConsume = -1;
      return isBroken ? "RECONSUME_LATER" : undefined;
    },
  });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const dead = await traceWith(msgId, "DEAD_LETTER");
  expect(types(dead)).toEqual(["SEND", "STORE", "DELIVER", "CONSUME", "DEAD_LETTER"]);
  expect(dead.events.at(-1)).toMatchObject({ group: "billing", topic: "%DLQ%billing", reason: "The listener answered RECONSUME_LATER." });
  expect(dead.events.at(-2)).toMatchObject({ success: false, returnType: "FAILED" });
  isBroken = false;
  await mq.admin.resendDeadLetters({ group: "billing" });
  const again = await traceWith(msgId, "CONSUME", 2);
  expect(types(again).slice(5)).toEqual(["RESEND", "DELIVER", "CONSUME"]);
  expect(again).toMatchObject({ topic: "orders" });
});

test("a batch: each message has its own result, and its own life", async () => {
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 1, writeQueueNums: 1 });
  const { msgId } = await producer.send([{ topic: "orders", body: "a" }, { topic: "orders", body: "b" }, { topic: "orders", body: "c" }]);
  await mq.createPushConsumer({
    consumerGroup: "billing", subscriptions: { orders: "*" }, consumeFromWhere: FIRST, consumeMessageBatchMaxSize: 32,
    batchListener: (messages, context) => {
      if (messages.length === 3) context.ackIndex = 1;
    },
  });
  const [a, b, c] = msgId.split(",");
  const last = await traceWith(c!, "CONSUME", 2);
  expect(all(last, "CONSUME").map(({ success, attempt }) => [attempt, success])).toEqual([[1, false], [2, true]]);
  for (const id of [a!, b!]) expect(all(await traceWith(id, "CONSUME"), "CONSUME")).toMatchObject([{ attempt: 1, success: true }]);
});

test("an orderly consumer: one arrival, each try", async () => {
  let tries = 0;
  await consume({ orderly: true, suspendCurrentQueueTime: 10, messageListener: () => (++tries < 3 ? null : undefined) });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const trace = await traceWith(msgId, "CONSUME", 3);
  expect(types(trace)).toEqual(["SEND", "STORE", "DELIVER", "CONSUME", "CONSUME", "CONSUME"]);
  expect(all(trace, "CONSUME").map(({ attempt, returnType }) => [attempt, returnType])).toEqual([[1, "RETURNNULL"], [2, "RETURNNULL"], [3, "SUCCESS"]]);
});

test("broadcasting: every client tells of its own, and a failure is the end of it", async () => {
  const other = await origin.connect({ clientId: "tab-2", broker: BROKER });
  await consume({ messageModel: "BROADCASTING", messageListener: () => {} });
  await consume({ messageModel: "BROADCASTING", messageListener: () => "RECONSUME_LATER" }, other);
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const trace = await traceWith(msgId, "CONSUME", 2);
  expect(types(trace).filter((type) => type !== "DELIVER" && type !== "CONSUME")).toEqual(["SEND", "STORE"]);
  expect(new Map(all(trace, "CONSUME").map(({ clientId, success }) => [clientId, success]))).toEqual(new Map([["tab-1", true], ["tab-2", false]]));
});

test("a listener that takes too long", async () => {
  await consume({ consumeTimeout: 20, maxReconsumeTimes: 0, messageListener: () => new Promise<void>(() => {}) });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const [late] = all(await traceWith(msgId, "DEAD_LETTER"), "CONSUME");
  expect(late).toMatchObject({ returnType: "TIME_OUT", success: false });
  expect(late!.costTime).toBeGreaterThanOrEqual(20);
});

test("simple and pull consumers: given, and acknowledged", async () => {
  const simple = await mq.createSimpleConsumer({ consumerGroup: "simple", subscriptions: { orders: "*" }, consumeFromWhere: FIRST });
  const pull = await mq.createPullConsumer({ consumerGroup: "pull", consumeFromWhere: FIRST });
  void pull.subscribe("orders");
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const [received] = await simple.receive();
  await pull.poll();
  const open = await mq.admin.messageTrace(msgId);
  expect(all(open, "CONSUME").map(({ group, costTime, success }) => [group, costTime, success]).sort()).toEqual([["pull", undefined, undefined], ["simple", undefined, undefined]]);
  await simple.ack(received!);
  await pull.commit();
  const done = await mq.admin.messageTrace(msgId);
  expect(all(done, "CONSUME").map(({ group, success }) => [group, success]).sort()).toEqual([["pull", true], ["simple", true]]);
  expect(all(done, "DELIVER")).toHaveLength(2);
});

test("an acknowledgement that is refused", async () => {
  const simple = await mq.createSimpleConsumer({ consumerGroup: "simple", subscriptions: { orders: "*" }, consumeFromWhere: FIRST });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  const [late] = await simple.receive({ invisibleDuration: 1 });
  const [again] = await simple.receive();
  await expect(simple.ack(late!)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE" });
  await simple.ack(again!);
  expect(all(await mq.admin.messageTrace(msgId), "CONSUME").map(({ attempt, success }) => [attempt, success])).toEqual([[1, false], [2, true]]);
});

describe("what waits before it is delivered", () => {
  test("a delay and a timer: where it waits, and when its time has come", async () => {
    await consume({ messageListener: () => {} });
    for (const [message, topic] of [[{ delayTimeLevel: 1 }, "SCHEDULE_TOPIC_XXXX"], [{ deliverAfter: 20 }, "rmq_sys_wheel_timer"]] as const) {
      const { msgId } = await producer.send({ topic: "orders", body: "x", ...message });
      const trace = await traceWith(msgId, "CONSUME");
      expect(trace.topic).toBe("orders");
      expect(types(trace)).toEqual(["SEND", "STORE", "STORE", "DELIVER", "CONSUME"]);
      expect(all(trace, "STORE").map((event) => event.topic)).toEqual([topic, "orders"]);
    }
  });

  test("a timer that is called off, by whom, and one that came too late for that", async () => {
    await consume({ messageListener: () => {} });
    const off = await producer.send({ topic: "orders", body: "x", deliverAfter: 60_000 });
    const late = await producer.send({ topic: "orders", body: "x", deliverAfter: 1 });
    await traceWith(late.msgId, "CONSUME");
    expect(await producer.recall(off.recallHandle!)).toEqual({ recalled: true });
    expect(await producer.recall(late.recallHandle!)).toEqual({ recalled: false });
    const trace = await mq.admin.messageTrace(off.msgId);
    expect(types(trace)).toEqual(["SEND", "STORE", "RECALL"]);
    expect(trace.events.at(-1)).toEqual({ type: "RECALL", time: expect.any(Number), clientId: "tab-1", group: "checkout", success: true });
    expect(all(await mq.admin.messageTrace(late.msgId), "RECALL")).toMatchObject([{ success: false }]);
  });
});

describe("a transaction", () => {
  type State = "COMMIT" | "ROLLBACK" | "UNKNOWN";
  async function transaction(executed: State, checked: State = "UNKNOWN"): Promise<string> {
    const sender = await mq.createTransactionProducer({ producerGroup: "checkout", executeLocalTransaction: () => executed, checkLocalTransaction: () => checked });
    return (await sender.sendMessageInTransaction({ topic: "orders", body: "x" })).msgId;
  }

  test("committed: prepared, decided by whom, visible, consumed", async () => {
    await consume({ messageListener: () => {} });
    const trace = await traceWith(await transaction("COMMIT"), "CONSUME");
    expect(types(trace)).toEqual(["SEND", "STORE", "STORE", "END_TRANSACTION", "DELIVER", "CONSUME"]);
    expect(all(trace, "STORE").map(({ topic }) => topic)).toEqual(["RMQ_SYS_TRANS_HALF_TOPIC", "orders"]);
    expect(all(trace, "END_TRANSACTION")).toEqual([{ type: "END_TRANSACTION", time: expect.any(Number), transactionState: "COMMIT", group: "checkout", clientId: "tab-1", fromCheck: false }]);
    expect(trace).toMatchObject({ topic: "orders", producer: { clientId: "tab-1", group: "checkout" } });
  });

  test("rolled back: the end of it", async () => {
    const trace = await mq.admin.messageTrace(await transaction("ROLLBACK"));
    expect(types(trace)).toEqual(["SEND", "STORE", "END_TRANSACTION"]);
    expect(trace.events.at(-1)).toMatchObject({ transactionState: "ROLLBACK", clientId: "tab-1" });
  });

  test("left open, and decided when its producer was asked", async () => {
    await mq.admin.updateBrokerConfig({ transactionTimeout: 30, transactionCheckInterval: 30 });
    const msgId = await transaction("UNKNOWN", "ROLLBACK");
    // The log says so first, and then the tab that was asked.
    await until(async () => all(await mq.admin.messageTrace(msgId), "END_TRANSACTION").some(({ fromCheck }) => fromCheck === true));
    const ends = all(await mq.admin.messageTrace(msgId), "END_TRANSACTION");
    expect(ends.map(({ transactionState, fromCheck }) => [transactionState, fromCheck])).toEqual([["UNKNOWN", false], ["ROLLBACK", true]]);
  });

  test("without what the tab tells, the log says how it ended", async () => {
    vi.spyOn(Tracer.prototype, "endTransaction").mockImplementation(() => {});
    const trace = await mq.admin.messageTrace(await transaction("ROLLBACK"));
    expect(trace.events.at(-1)).toEqual({ type: "END_TRANSACTION", time: expect.any(Number), transactionState: "ROLLBACK", group: "checkout" });
  });
});

test("nobody knows the id: no events, and no error, whether there is a trace topic or not", async () => {
  const nobody = "0".repeat(32);
  expect(await mq.admin.messageTrace(nobody)).toEqual({ msgId: nobody, events: [] });
  await expect(mq.admin.messageTrace("")).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
  await consume({ messageListener: () => {} });
  const { msgId } = await producer.send({ topic: "orders", body: "x" });
  await traceWith(msgId, "CONSUME");
  expect(await mq.admin.messageTrace(nobody)).toEqual({ msgId: nobody, events: [] });
});

describe("what is told", () => {
  test("RocketMQ's text, by the ids of the messages, for everybody to read", async () => {
    const bodies: string[] = [];
    await mq.createPushConsumer({ consumerGroup: "watch", subscriptions: { [TRACE_TOPIC]: "*" }, consumeFromWhere: FIRST, messageListener: (message) => void bodies.push(message.text()) });
    await consume({ messageListener: () => {} });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await until(() => bodies.join("").includes("SubAfter"));
    const records = bodies.join("").split("\u0002").map((record) => record.split("\u0001"));
    expect(records.find(([type]) => type === "Producer")).toEqual(["Producer", expect.stringMatching(/^\d{13}$/), "", "checkout", msgId.slice(0, 20)]);
    const after = records.find(([type, , id]) => type === "SubAfter" && id === msgId)!;
    expect(after.slice(3, 9)).toEqual([expect.stringMatching(/^\d+$/), "true", "", "0", expect.stringMatching(/^\d{13}$/), "billing"]);
    const [found] = await mq.admin.queryMessages({ topic: TRACE_TOPIC, key: msgId });
    expect(found).toMatchObject({ topic: TRACE_TOPIC, properties: { clientId: "tab-1" } });
    // Its own messages are not traced: that would never end.
    expect(bodies.join("")).not.toContain("watch");
  });

  test("who sent what was sent through a context, or from an outbox", async () => {
    const sent: string[] = [];
    await consume({ messageListener: (_message, context) => void sent.push(context.send({ topic: "invoices", body: "x" })) });
    await producer.send({ topic: "orders", body: "x" });
    const db = new MemoryIdb(["outbox"]).open();
    const written = (await mq.outbox(db, "outbox")).add(db.transaction("outbox", "readwrite"), { topic: "invoices", body: "y" });
    await until(() => sent.length === 1);
    const ids = [sent[0]!, written];
    const groups = await Promise.all(ids.map(async (id) => all(await traceWith(id, "STORE"), "SEND").map(({ clientId, group }) => [clientId, group])));
    expect(groups).toEqual([[["tab-1", "billing"]], [["tab-1", "outbox"]]]);
  });

  test("one record tells the producer, whatever it sends", async () => {
    for (let sent = 0; sent < 300; sent++) await producer.send({ topic: "orders", body: "x" });
    await mq.admin.messageTrace("x");
    expect((await mq.diagnostics()).trace).toEqual({ written: 1, dropped: 0 });
  });

  test("what ends soon is one record; what takes long is told in between", async () => {
    let release = (): void => {};
    await consume({ messageListener: () => new Promise<void>((resolve) => (release = resolve)) });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await until(async () => all(await mq.admin.messageTrace(msgId), "CONSUME").length === 1);
    expect(all(await mq.admin.messageTrace(msgId), "CONSUME")[0]).not.toHaveProperty("costTime");
    release();
    expect(all(await traceWith(msgId, "CONSUME"), "CONSUME")).toMatchObject([{ success: true }]);
    expect((await mq.diagnostics()).trace.written).toBe(3);
  });

  test("traceEnable off: nothing is written, and the log still tells its part", async () => {
    await origin.close();
    origin = new NodeOrigin();
    mq = await origin.connect({ broker: { ...BROKER, traceEnable: false } });
    producer = await mq.createProducer({ producerGroup: "checkout" });
    await consume({ messageListener: failForGood });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await traceWith(msgId, "DEAD_LETTER");
    expect(await mq.admin.messageTrace(msgId)).toEqual({ msgId, topic: "orders", events: [{ type: "SEND", time: expect.any(Number) }, expect.objectContaining({ type: "STORE" }), expect.objectContaining({ type: "DEAD_LETTER" })] });
    expect((await mq.admin.topics()).map(({ topic }) => topic)).not.toContain(TRACE_TOPIC);
    expect((await mq.diagnostics()).trace).toEqual({ written: 0, dropped: 0 });
  });
});

describe("what goes wrong on the way", () => {
  test("a tab that dies with a message in hand: it has begun, and nobody says more", async () => {
    const ports: MessagePort[] = [];
    const openBroker = (): BrokerPort => {
      ports.push(origin.port());
      return { port: ports.at(-1) as unknown as PortLike, onError: () => {} };
    };
    const dying = await origin.connect({ clientId: "dying", broker: BROKER }, { openBroker });
    let isHeld = false;
    await consume({ messageListener: () => new Promise<void>(() => (isHeld = true)) }, dying);
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await until(async () => isHeld && all(await mq.admin.messageTrace(msgId), "CONSUME").length > 0);
    for (const port of ports) port.close();
    const trace = await mq.admin.messageTrace(msgId);
    expect(types(trace)).toEqual(["SEND", "STORE", "DELIVER", "CONSUME"]);
    expect(trace.events.at(-1)).toEqual({ type: "CONSUME", time: expect.any(Number), clientId: "dying", group: "billing", attempt: 1 });
  });

  test("a broker that dies again and again: each try is told once", async () => {
    const disk = new MemoryDisk();
    const virtual = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
    await virtual.time.run(
      (async () => {
        const tab = await virtual.connect({ broker: BROKER });
        const sender = await tab.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000, retryTimesWhenSendFailed: 10 });
        const calls = new Map<string, number>();
        await consume({
          messageListener: async ({ msgId }) => {
            calls.set(msgId, (calls.get(msgId) ?? 0) + 1);
            await virtual.time.sleep(300);
          },
        }, tab);
        const sent: string[] = [];
        for (let at = 0; at < 60; at++) {
          sent.push((await sender.send({ topic: "orders", body: "x" })).msgId);
          await virtual.time.sleep(70);
          if (at % 13 === 0) virtual.killWorker();
        }
        await virtual.time.sleep(120_000);
        for (const msgId of sent) {
          const tries = all(await tab.admin.messageTrace(msgId), "CONSUME");
          expect(tries.filter(({ success }) => success)).toHaveLength(calls.get(msgId)!);
        }
        expect((await tab.diagnostics()).trace.dropped).toBe(0);
        await tab.close();
        await virtual.stopWorker();
      })(),
    );
  });

  describe("anybody may send to the topic", () => {
    const send = (body: string | Uint8Array, msgId: string) => producer.send({ topic: TRACE_TOPIC, body, keys: [msgId, msgId.slice(0, 20)] });

    test("what is no trace, and what lies about other messages, changes nothing", async () => {
      await consume({ messageListener: () => {} });
      const { msgId } = await producer.send({ topic: "orders", body: "x" });
      const before = await traceWith(msgId, "CONSUME");
      await send(new Uint8Array(3_000_000).fill(1), msgId);
      await send(crypto.getRandomValues(new Uint8Array(5000)), msgId);
      await send(`SubAfter\u0001R\u0001${"F".repeat(32)}\u00011\u0001true\u0001\u00010\u00011\u0001g\u0002`.repeat(500), msgId);
      await send("SubAfter\u0002Recall\u0001\u0001\u0001\u0002\u0001\u0001", msgId);
      await send(`Producer\u00011\u0001\u0001thieves\u0001${msgId.slice(0, 20)}\u0002`, msgId);
      expect(await mq.admin.messageTrace(msgId)).toEqual(before);
    });

    test("what lies about this one is told as what somebody has said, without the name of who has not given one", async () => {
      const { msgId } = await producer.send({ topic: "orders", body: "x" });
      await send(`SubAfter\u0001R\u0001${msgId}\u00011\u0001true\u0001\u00010\u0001999999999999999\u0001liars\u0002`, msgId);
      expect(all(await mq.admin.messageTrace(msgId), "CONSUME")).toEqual([{ type: "CONSUME", time: 999_999_999_999_998, group: "liars", attempt: 1, costTime: 1, success: true, returnType: "SUCCESS" }]);
    });

    test("a flood is read as far as the limit", async () => {
      const { msgId } = await producer.send({ topic: "orders", body: "x" });
      const one = (at: number): string => `Recall\u0001${at}\u0001\u0001g\u0001t\u0001${msgId}\u0001true\u0002`;
      const body = Array.from({ length: 40 }, (_, at) => one(at)).join("");
      const keys = [msgId];
      await producer.send(Array.from({ length: 300 }, () => ({ topic: TRACE_TOPIC, body, keys })), { timeout: 60_000 });
      const trace = await mq.admin.messageTrace(msgId);
      expect(all(trace, "RECALL")).toHaveLength(MAX_TRACE_EVENTS);
      expect(all(trace, "STORE")).toHaveLength(1);
    });
  });
});

describe("the topic's own retention", () => {
  const fill = async (): Promise<void> => {
    for (let sent = 0; sent < MAX_TRACE_MESSAGES + 2 * QUEUE_PAGE_ENTRIES; sent += 1024) {
      await producer.send(Array.from({ length: 1024 }, () => ({ topic: TRACE_TOPIC, body: "filler" })), { timeout: 60_000 });
    }
  };
  const limits = async () => (await mq.admin.topicStats(TRACE_TOPIC)).queues[0]!;

  test("old trace is given up page by page, and what the log says stays; the next broker begins where this one did", async () => {
    await consume({ messageListener: () => {} });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await traceWith(msgId, "CONSUME");
    await fill();
    const { minOffset, maxOffset } = await limits();
    expect(minOffset % QUEUE_PAGE_ENTRIES).toBe(0);
    expect(maxOffset - minOffset).toBeGreaterThanOrEqual(MAX_TRACE_MESSAGES);
    expect(maxOffset - minOffset).toBeLessThan(MAX_TRACE_MESSAGES + 2 * QUEUE_PAGE_ENTRIES);
    const trace = await mq.admin.messageTrace(msgId);
    expect(types(trace)).toEqual(["SEND", "STORE"]);
    expect(trace.producer).toEqual({ clientId: "tab-1", group: "checkout" });
    await origin.close();
    origin = new NodeOrigin(origin.disk);
    mq = await origin.connect({ broker: BROKER });
    expect(await limits()).toMatchObject({ minOffset, maxOffset });
  });

  test("control: kept for good, the consumption is still told", async () => {
    vi.spyOn(TraceRetention.prototype, "published").mockImplementation(() => {});
    await consume({ messageListener: () => {} });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await traceWith(msgId, "CONSUME");
    await fill();
    expect((await limits()).minOffset).toBe(0);
    expect(types(await mq.admin.messageTrace(msgId))).toEqual(["SEND", "STORE", "DELIVER", "CONSUME"]);
  });
});

describe("controls", () => {
  test("a tracer that tells nothing: the life ends where the log ends", async () => {
    vi.spyOn(Tracer.prototype, "ended").mockImplementation(() => {});
    vi.spyOn(Tracer.prototype, "producer").mockImplementation(() => {});
    let isConsumed = false;
    await consume({ messageListener: () => void (isConsumed = true) });
    const { msgId } = await producer.send({ topic: "orders", body: "x" });
    await until(() => isConsumed);
    const trace = await mq.admin.messageTrace(msgId);
    expect(trace.producer).toBeUndefined();
    expect(all(trace, "CONSUME").every(({ costTime }) => costTime === undefined)).toBe(true);
  });
});
