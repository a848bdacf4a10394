import fc from "fast-check";
import { STRATEGIES } from "../../src/model/allocation.ts";
import { draftMessage } from "../../src/model/message.ts";
import { encodeTopic } from "../../src/model/record-codec.ts";
import { BROKER_METHODS } from "../../src/protocol/api.ts";
import { FrameWriter } from "../../src/protocol/frame.ts";
import { hostileName, mutated, mutations, oddValue } from "./arbitraries.ts";

/** Where a message has this id, whoever posts it puts a fresh one. */
export const FRESH = "fresh";

/** Topics and groups that a hostile client plays with; no honest client uses them. */
const topic = fc.constantFrom("evil", "evil-2", "%RETRY%evil", "constructor", "__proto__", "toString");
const group = fc.constantFrom("evil", "evil-2", "__proto__", "hasOwnProperty");
const queueId = fc.nat({ max: 5 });
const wait = fc.nat({ max: 3 });
const queue = { topic, queueId };
const memberId = fc.constantFrom("hostile#1", "hostile#2", "honest#1", "honest#2", "nobody", "__proto__");
const importId = fc.constantFrom("i1", "i2");
const offset = fc.constantFrom(0, 1, 5, 1000, Number.MAX_SAFE_INTEGER);
const keys = fc.array(fc.constantFrom("a", "b", "", "__proto__", "x".repeat(257), "\ud800"), { maxLength: 3 });
const claimHandle = fc.record({ ...queue, queueOffset: offset, epoch: offset, number: offset, version: offset });

function frame(topicName: string, records: number): ArrayBuffer {
  const writer = new FrameWriter(0);
  const draft = draftMessage({ topic: "evil", body: "a body of some length", tags: "t" }, "F".repeat(32));
  for (let record = 0; record < records; record++) writer.write(draft, encodeTopic(topicName), record, 1);
  return writer.finish().slice(0, writer.byteLength);
}

const goodFrame = fc.tuple(topic, fc.integer({ min: 1, max: 3 })).map(([name, records]) => frame(name, records));
const changedFrame = fc.tuple(goodFrame, mutations).map(([good, mutate]) => new Uint8Array(mutate(new Uint8Array(good))).buffer);

/** For a client that is there, or not, and waits for nothing. Not for the hostile one itself: its inbox may be open, and then each waits five seconds for its word. */
const replyFrame = fc.constantFrom("honest", "nobody", "__proto__", "").map((to) => {
  const writer = new FrameWriter(0);
  writer.write(draftMessage({ topic: "evil", body: "x" }, "F".repeat(32), 100, [["CORRELATION_ID", "c"], ["REPLY_TO_CLIENT", to]]), encodeTopic("evil"), 0, 1);
  return writer.finish().slice(0, writer.byteLength);
});

export const goodHello = {
  namespace: "default", clientId: "hostile", lockName: "tabmq/default/client/hostile", protocol: [1, 1], lib: "x", storage: "indexeddb", settings: {}, witness: null,
};

const letters = fc.record({ group, queueOffsets: fc.array(offset, { maxLength: 3 }) }).map((request) => [request]);

/** The arguments of calls that are, or may be, well formed. */
const calls: { [Method in (typeof BROKER_METHODS)[number]]: fc.Arbitrary<unknown[]> } = {
  hello: fc.record({
    namespace: fc.constantFrom("default", "other", "default/x"), clientId: fc.constantFrom("hostile", "honest", "__proto__"),
    lockName: fc.constantFrom("tabmq/default/client/hostile", "tabmq/default/writer", "tabmq/default/client/../writer"),
    protocol: fc.constantFrom([1, 1], [2, 9], [9]), lib: fc.constant("x"), storage: fc.constantFrom("indexeddb", "memory"),
    settings: fc.record({ defaultTopicQueueNums: fc.constantFrom(1, 8), autoCreateTopicEnable: fc.boolean(), maxMessageSize: fc.constantFrom(1, 1000), flushDiskType: fc.constantFrom("sync", "async"), syncFlushTimeout: fc.constantFrom(1, 5000) }, { requiredKeys: [] }),
  }).map((request) => [request]),
  updateBrokerConfig: fc.record({ deleteWhen: fc.constantFrom("", "25", "x"), maxStoreBytes: fc.constantFrom(-1, 1, 2 ** 50), fileReservedTime: fc.constantFrom(0, 2 ** 50, 1.5) }, { requiredKeys: [] }).map((settings) => [settings]),
  leave: fc.constant([]),
  ping: fc.constant([]),
  send: fc.oneof(goodFrame, changedFrame).map((bytes) => [bytes]),
  flush: fc.tuple(offset, offset).map((args): unknown[] => args),
  recall: fc.record({ topic, due: offset, msgId: fc.constantFrom("", "F".repeat(32), "x") }).map((request) => [request]),
  pendingTimers: fc.record({
    topic: fc.option(topic), begin: offset, end: offset, after: fc.option(fc.record({ due: offset, level: fc.nat({ max: 129 }), offset })), max: fc.constantFrom(0, 1, 4000, 4001),
  }).map((request) => [request]),
  route: fc.tuple(topic, fc.boolean()).map((args): unknown[] => args),
  join: fc.record({
    group, subscriptions: fc.array(fc.tuple(topic, fc.constantFrom("*", "a || b", "||", "x")), { maxLength: 3 }), queues: fc.array(fc.record(queue), { maxLength: 2 }),
    consumeFromWhere: fc.constantFrom("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"),
    consumeType: fc.constantFrom("CONSUME_PASSIVELY", "CONSUME_ACTIVELY"), replaceSubscription: fc.boolean(), termsVersion: offset, orderly: fc.boolean(), idempotenceWindow: fc.constantFrom(-1, 0, 1, 1000, 2 ** 50),
    allocation: fc.record({ strategy: fc.constantFrom(...STRATEGIES, "FUNCTION", "AVERAGE"), queues: fc.array(fc.record(queue), { maxLength: 3 }) }),
    broadcast: fc.record({ topics: fc.array(topic, { maxLength: 2 }), offsets: fc.array(fc.record({ ...queue, commitOffset: offset }), { maxLength: 3 }) }),
    pops: fc.record({ instance: offset, maxReconsumeTimes: fc.constantFrom(-1, 0, 16) }),
  }, { requiredKeys: ["group", "subscriptions", "queues", "consumeFromWhere"] }).map((request) => [request]),
  fetch: fc.record({
    memberId, generation: offset, wait,
    held: fc.array(fc.record({ ...queue, commitOffset: fc.constantFrom(-1, 0, 7, Number.MAX_SAFE_INTEGER), nextOffset: offset, want: fc.nat({ max: 1024 }) }), { maxLength: 3 }),
    released: fc.array(fc.record({ ...queue, commitOffset: offset }), { maxLength: 2 }),
    keys: fc.record({ number: offset, finished: keys, released: keys }),
  }, { requiredKeys: ["memberId", "generation", "wait", "held", "released"] }).map((request) => [request]),
  subscribe: fc.record({ memberId, wish: offset, subscriptions: fc.array(fc.tuple(topic, fc.constantFrom("*", "a || b", "||", "x")), { maxLength: 3 }) }).map((request) => [request]),
  pick: fc.record({ memberId, queues: fc.array(fc.record(queue), { maxLength: 3 }) }).map((request) => [request]),
  claimKeys: fc.record({ memberId, keys }).map((request) => [request]),
  quit: fc.record({ memberId, commits: fc.array(fc.record({ ...queue, commitOffset: offset }), { maxLength: 2 }) }).map((request) => [request]),
  allocate: fc.record({
    memberId, round: fc.oneof(offset, fc.nat({ max: 30 })),
    shares: fc.option(fc.array(fc.tuple(fc.constantFrom("hostile", "hostile#2", "honest", "__proto__"), topic, queueId), { maxLength: 6 })),
  }).map((request) => [request]),
  finish: fc.record({
    memberId, ...queue, queueOffsets: fc.array(offset, { maxLength: 4 }),
    frame: fc.oneof(fc.uint8Array({ maxLength: 64 }).map((bytes) => bytes.slice().buffer), fc.constantFrom(null, {}, "x")),
  }).map((request) => [request]),
  settle: fc.record({
    memberId, ...queue, maxReconsumeTimes: fc.constantFrom(-1, 0, 16),
    results: fc.array(
      fc.record(
        { queueOffset: offset, action: fc.constantFrom("retry", "dead", "x"), delayLevel: fc.constantFrom(0, 3, 2 ** 31, -1), error: fc.constantFrom("no", "\u0001\u0002", "\ud800", "x".repeat(401)) },
        { requiredKeys: ["queueOffset", "action"] },
      ),
      { maxLength: 3 },
    ),
  }).map((request) => [request]),
  pull: fc.record({ ...queue, expression: fc.constantFrom("*", "t", "||"), offset, max: fc.constantFrom(1, 1024) }).map((request) => [request]),
  receive: fc.record({ memberId, receive: offset, max: fc.constantFrom(0, 1, 32, 33), invisibleDuration: fc.constantFrom(-1, 1, 1000, 43_200_001), wait }).map((request) => [request]),
  ack: fc.record({ memberId, handles: fc.array(claimHandle, { maxLength: 3 }), again: fc.boolean() }).map((request) => [request]),
  changeInvisible: fc.record({ memberId, handle: claimHandle, invisibleDuration: fc.constantFrom(-1, 1, 1000, 43_200_001), again: fc.boolean() }).map((request) => [request]),
  inbox: fc.record({ after: offset, declined: fc.array(offset, { maxLength: 3 }), wait, close: fc.boolean() }, { requiredKeys: ["after", "declined", "wait"] }).map((request) => [request]),
  listeners: fc.record({ topic, tags: fc.constantFrom(null, "t", "x".repeat(40_000)) }).map((request) => [request]),
  reply: fc.oneof(goodFrame, changedFrame, replyFrame).map((bytes) => [bytes]),
  registerProducer: fc.tuple(fc.constantFrom("p", "", "a b"), fc.oneof(fc.boolean(), fc.nat())),
  endTransaction: fc.record({
    producerGroup: fc.constantFrom("p", "q", "", null), transactionId: fc.string(), state: fc.constantFrom("COMMIT", "ROLLBACK", "UNKNOWN", "DONE"), fromCheck: fc.boolean(),
  }).map((request) => [request]),
  openTransactions: fc.record({ offset, max: fc.constantFrom(0, 1, 4000, 4001) }).map((request) => [request]),
  searchOffset: fc.record({ ...queue, timestamp: offset, boundary: fc.constantFrom("LOWER", "UPPER") }).map((request) => [request]),
  createTopic: fc.record(
    { topic, readQueueNums: fc.nat({ max: 130 }), writeQueueNums: fc.nat({ max: 130 }), perm: fc.constantFrom(0, 2, 4, 6, 7), messageType: fc.constantFrom("NORMAL", "FIFO", "DELAY", "MIXED", "SMALL") },
    { requiredKeys: ["topic"] },
  ).map((spec) => [spec]),
  deleteTopic: topic.map((name) => [name]),
  createGroup: fc.record(
    { group, consumeEnable: fc.boolean(), consumeBroadcastEnable: fc.boolean(), retryMaxTimes: fc.constantFrom(null, -1, 0, 16, 2 ** 31) },
    { requiredKeys: ["group"] },
  ).map((spec) => [spec]),
  deleteGroup: fc.record({ group, force: fc.boolean() }).map((request) => [request]),
  // Who names the right one says it to all.
  destroy: fc.constantFrom([], ["defaul"], [null], [{ __proto__: null }]),
  topicRoute: topic.map((name) => [name]),
  cluster: fc.constant([]),
  brokerStats: fc.constant([]),
  topics: fc.constant([]),
  topicStats: topic.map((name) => [name]),
  consumeStats: group.map((name) => [name]),
  groups: fc.constant([]),
  clients: fc.constant([]),
  consumerConnections: group.map((name) => [name]),
  queryMessages: fc.record({
    topic: fc.option(topic), key: fc.constantFrom("a", "", "F".repeat(32), "__proto__"), max: fc.nat({ max: 65 }), begin: offset, end: offset, before: fc.option(offset),
  }).map((request) => [request]),
  messageAt: offset.map((position) => [position]),
  deadLetters: fc.record({ group, offset }).map((request) => [request]),
  resendDeadLetters: letters,
  discardDeadLetters: letters,
  resetOffset: fc.record({ group, topic, queueId: fc.option(queueId), timestamp: fc.option(offset), offset: fc.option(offset) }).map((request) => [request]),
  messageTrack: fc.constantFrom("a", "", "F".repeat(32), "__proto__").map((id) => [id]),
  diagnostics: fc.constant([]),
  beginExport: fc.constant([]),
  exportRecords: fc.record({ position: offset, end: offset }).map((request) => [request]),
  beginImport: fc.record({ id: importId }).map((request) => [request]),
  importRecords: fc.record({ id: importId, frame: fc.oneof(goodFrame, changedFrame) }).map((request) => [request]),
  endImport: fc.record({
    id: importId, topics: fc.array(fc.record({ topic, readQueueNums: fc.nat({ max: 130 }) }, { requiredKeys: ["topic"] }), { maxLength: 2 }),
    offsets: fc.array(fc.record({ group, topic, offsets: fc.array(fc.tuple(queueId, offset), { maxLength: 2 }) }), { maxLength: 2 }),
  }).map((request) => [request]),
};

const raw = (value: unknown): object => ({ type: "RAW", value });
// Seldom goodbye: without a session nothing gets far.
const method = fc.oneof({ weight: 200, arbitrary: fc.constantFrom(...BROKER_METHODS.filter((name) => name !== "leave")) }, { weight: 1, arbitrary: fc.constant("leave" as const) });
const goodCall: fc.Arbitrary<object> = method.chain((name) =>
  calls[name].map((args) => ({ id: FRESH, type: "APPLY", path: [name], argumentList: args.map(raw) })),
);

/** comlink's other powers, and paths to what is nobody's business. */
const comlinkCall = fc.record({
  id: fc.constant(FRESH),
  type: fc.constantFrom("GET", "SET", "APPLY", "CONSTRUCT", "HANDLER", "RAW", "set", ""),
  path: fc.oneof(
    fc.array(fc.oneof(hostileName, fc.constantFrom<string>(...BROKER_METHODS), fc.constantFrom("polluted", "secret", "call", "bind")), { maxLength: 3 }),
    fc.tuple(fc.constantFrom("__proto__", "constructor"), fc.constantFrom("polluted", "prototype", "constructor")),
  ),
  argumentList: fc.array(fc.oneof(oddValue.map(raw), fc.constantFrom<object>({ type: "HANDLER", name: "proxy", value: 1 }, { type: "HANDLER", name: "none", value: 1 }, {})), { maxLength: 5 }),
  value: oddValue.map(raw),
});

const badId = fc.oneof(fc.constantFrom<unknown>("", "y".repeat(65), 7, null, undefined, {}, ["x"]), fc.constant(FRESH));

/** One message on a port, good enough to get somewhere. */
export const hostileMessage: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: mutated(goodCall) },
  { weight: 4, arbitrary: goodCall },
  { weight: 4, arbitrary: comlinkCall },
  { weight: 1, arbitrary: fc.tuple(goodCall, badId).map(([call, id]) => ({ ...call, id })) },
  { weight: 1, arbitrary: oddValue },
);
