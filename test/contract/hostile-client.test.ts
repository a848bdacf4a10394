/** Calls that no client of ours makes: well-formed, and meant to reach what belongs to others. */
import { afterEach, expect, test, vi } from "vitest";
import { StartOffsets } from "../../src/broker/start-offsets.ts";
import { draftMessage } from "../../src/model/message.ts";
import { encodeProperties } from "../../src/model/properties.ts";
import { encodeTopic } from "../../src/model/record-codec.ts";
import type { Answer } from "../../src/protocol/api.ts";
import { FRAME_DIVERTED, FrameWriter } from "../../src/protocol/frame.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { asAllDamaged } from "../support/sound-stores.ts";

const ROUTING = "../../src/model/routing.ts";

const origins: NodeOrigin[] = [];
afterEach(async () => {
  await Promise.all(origins.splice(0).map((origin) => origin.close()));
  vi.restoreAllMocks();
  vi.doUnmock(ROUTING);
  vi.resetModules();
});

const hello = { namespace: "default", clientId: "evil", lockName: "tabmq/default/client/evil", protocol: [1, 1], lib: "x", storage: "indexeddb", settings: {}, witness: null };

type Call = (method: string, ...args: unknown[]) => Promise<Answer<unknown>>;

/** A client of its own making, greeted. */
async function hostileClient(origin: NodeOrigin): Promise<Call> {
  await origin.locks.acquire(hello.lockName);
  const port = origin.port();
  const waiting = new Map<string, (answer: Answer<unknown>) => void>();
  port.addEventListener("message", ({ data }: MessageEvent<{ id: string; value: Answer<unknown> }>) => waiting.get(data.id)?.(data.value));
  port.start();
  const call: Call = (method, ...args) =>
    new Promise((resolve) => {
      const id = `x${waiting.size}`;
      waiting.set(id, resolve);
      port.postMessage({ id, type: "APPLY", path: [method], argumentList: args.map((value) => ({ type: "RAW", value })) }, []);
    });
  await until(async () => {
    const answer = await call("hello", hello);
    return answer.ok && (answer.value as { status: string }).status === "serving";
  });
  return call;
}

/** A frame with a record that says what only the broker's own records may say. */
function forgedFrame(topic: string, finishes: string): ArrayBuffer {
  return frameWith(topic, "__TABMQ_FINISHES", finishes);
}

function frameWith(topic: string, name: string, value: string, flags = 0): ArrayBuffer {
  const draft = draftMessage({ topic, body: "x" }, "F".repeat(32));
  const properties = `${draft.properties}${encodeProperties(new Map([[name, value]]))}`;
  const writer = new FrameWriter(0, flags);
  writer.write({ ...draft, properties, propertiesBytes: properties.length }, encodeTopic(topic), 0, 1);
  return writer.finish().slice(0, writer.byteLength);
}

/** Two records say that others' messages are finished, and the host dies. What is delivered by the next one, of 0 to 4; message 4 fails once. */
async function deliveredAfterForging(): Promise<{ answers: Answer<unknown>[]; delivered: string[] }> {
  // With the modules as they are mocked now.
  const { NodeOrigin: Origin } = (await import("../support/node-broker.ts")) as { NodeOrigin: typeof NodeOrigin };
  const broker = { messageDelayLevel: "100ms 100ms 100ms 100ms", defaultTopicQueueNums: 1 };
  const origin = new Origin();
  origins.push(origin);
  const honest = await origin.connect({ broker });
  const producer = await honest.createProducer({ producerGroup: "p" });
  for (let number = 0; number < 5; number++) await producer.send({ topic: "t", body: `${number}` });
  await producer.send({ topic: "evil", body: "for the topic" });
  const call = await hostileClient(origin);
  const answers = [await call("send", forgedFrame("evil", "g t 0 2")), await call("send", forgedFrame("evil", "CID_RMQ_SYS_SCHEDULE SCHEDULE_TOPIC_XXXX 2 1000000"))];

  const next = new Origin(copyOf(origin.disk));
  origins.push(next);
  const mq = await next.connect({ broker });
  const delivered: string[] = [];
  const tried = new Set<string>();
  await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => {
      if (message.text() === "4" && !tried.has("4")) return void tried.add("4"), "RECONSUME_LATER";
      delivered.push(message.text());
      return "CONSUME_SUCCESS";
    },
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return { answers, delivered: delivered.sort() };
}

test("a record that says what it finishes is refused, so nobody's messages are taken for consumed", async () => {
  const { answers, delivered } = await deliveredAfterForging();
  const refusal = { code: "MESSAGE_ILLEGAL", message: "The property __TABMQ_FINISHES is the broker's." };
  for (const answer of answers) expect(answer).toMatchObject({ ok: true, value: { refused: [{ index: 0, error: refusal }] } });
  expect(delivered).toEqual(["0", "1", "2", "3", "4"]);
});

test("control: who takes such records loses messages of others with the next start", async () => {
  asAllDamaged("a forged record makes a group be where there is nothing yet");
  vi.resetModules();
  vi.doMock(ROUTING, async (actual) => ({ ...(await actual<object>()), forbiddenProperty: () => null }));
  expect((await deliveredAfterForging()).delivered).toEqual(["0", "1", "3"]);
});

test.each([
  // What says that a message goes elsewhere first, in a frame that does not.
  ["DELAY", "3", 0],
  // What only the broker says, in whichever frame.
  ["REAL_TOPIC", "other", 0], ["REAL_TOPIC", "other", FRAME_DIVERTED], ["REAL_QID", "1", FRAME_DIVERTED], ["__TABMQ_FINISHES", "g t 0 2", FRAME_DIVERTED],
  // And what is no level.
  ["DELAY", "soon", FRAME_DIVERTED],
])("a record that says %s = %s is refused in a frame with the flags %i", async (name, value, flags) => {
  const origin = new NodeOrigin();
  origins.push(origin);
  const honest = await origin.connect();
  await honest.admin.createTopic({ topic: "t" });
  const call = await hostileClient(origin);
  const answer = await call("send", frameWith("t", name, value, flags));
  expect(answer).toMatchObject({ ok: true, value: { places: [-1, -1], refused: [{ index: 0, error: { code: "MESSAGE_ILLEGAL" } }] } });
  // The same frame without it is welcome: it is the property that is refused.
  expect(await call("send", frameWith("t", "x", value, flags))).toMatchObject({ ok: true, value: { refused: [] } });
});

test("a frame with a flag that nobody knows is refused as a whole", async () => {
  const origin = new NodeOrigin();
  origins.push(origin);
  const call = await hostileClient(origin);
  expect(await call("send", frameWith("t", "x", "1", 2 ** 31))).toMatchObject({ ok: false, error: { code: "PROTOCOL_VIOLATION" } });
});

/** A client that leaves and comes back while its join is being prepared, and leaves for good. Who is in the group then. */
async function membersAfterLeaving(): Promise<{ answer: Answer<unknown>; members: number }> {
  const origin = new NodeOrigin();
  origins.push(origin);
  const honest = await origin.connect();
  await honest.admin.createTopic({ topic: "t" });
  const call = await hostileClient(origin);
  const { at } = StartOffsets.prototype;
  // As a disk takes its time.
  vi.spyOn(StartOffsets.prototype, "at").mockImplementation(async function slow(this: StartOffsets, ...given) {
    const starts = await at.apply(this, given);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return starts;
  });
  const joined = call("join", { group: "g", subscriptions: [["t", "*"]], queues: [], consumeFromWhere: "CONSUME_FROM_TIMESTAMP", consumeTimestamp: 1 });
  await call("leave");
  await call("hello", hello);
  const answer = await joined;
  await call("leave");
  const { connections } = await honest.admin.consumerConnections("g");
  return { answer, members: connections.length };
}

test("a session that ends while its join is prepared leaves no member behind", async () => {
  const { answer, members } = await membersAfterLeaving();
  expect(answer).toMatchObject({ ok: false, error: { code: "SESSION_UNKNOWN" } });
  expect(members).toBe(0);
});
