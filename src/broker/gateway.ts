import { expose, transfer } from "comlink";
import { checkWasmModule } from "../filter/wasm-module.ts";
import { STRATEGIES } from "../model/allocation.ts";
import { isUint8Array } from "../model/binary.ts";
import { errorToData } from "../model/errors.ts";
import {
  LONG_POLL, MAX_CALLS_PER_SESSION, MAX_CLAIMS, MAX_ERROR_TEXT, MAX_EXPRESSION_LENGTH, MAX_GROUP_TOPICS, MAX_HELD_QUEUES, MAX_IDEMPOTENCE_KEY_LENGTH, MAX_IDEMPOTENCE_WINDOW, MAX_IMPORT_ID_LENGTH, MAX_KEY_LENGTH, MAX_KEYS_IN_HAND, MAX_INVISIBLE_DURATION, MAX_MEMBER_ID_LENGTH,
  MAX_CLIENT_ID_LENGTH, MAX_DELAY_LEVELS, MAX_NOTICES, MAX_PROPERTIES_BYTES, MAX_PULL_BATCH, MAX_QUERY_MESSAGES, MAX_QUEUES_PER_TOPIC, MAX_RECEIVE, MAX_SHARED_QUEUES, MAX_SUBSCRIPTIONS_PER_MEMBER, MAX_TOPICS, MAX_WAITING,
} from "../model/limits.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { Answer, BrokerApi, Filter, HelloReply, WorkerKind } from "../protocol/api.ts";
import { BROKER_METHODS } from "../protocol/api.ts";
import { type MutableSettings, mutableSettings } from "../protocol/broker-settings.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import { guardBroker } from "../protocol/guarded-endpoint.ts";
import { groupOffsets, groupSpec, topicSpec } from "../protocol/topic-spec.ts";
import { boolean, filled, integer, list, named, nullable, offset, oneOf, optional, pair, record, text, time, triple } from "../protocol/validate.ts";
import type { Broker } from "./broker.ts";
import type { Session } from "./session.ts";

const topic = named(checkClientTopic);
const group = named(checkGroup);
const queueId = integer(0, MAX_QUEUES_PER_TOPIC - 1);
const queue = { topic, queueId };
const resets = optional(offset);
const memberId = text(MAX_MEMBER_ID_LENGTH);

const sqlFilter = record({ type: oneOf("SQL92"), expression: text(MAX_EXPRESSION_LENGTH) });
const wasmFilter = record({ type: oneOf("WASM"), module: checkWasmModule });
const commits = list(record({ ...queue, commitOffset: offset, resets }), MAX_HELD_QUEUES);

const joinRequest = record({
  group,
  subscriptions: list(pair(topic, anyFilter), MAX_SUBSCRIPTIONS_PER_MEMBER + 1),
  queues: list(record(queue), MAX_HELD_QUEUES),
  consumeFromWhere: oneOf("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"),
  consumeTimestamp: optional(time),
  consumeType: optional(oneOf("CONSUME_PASSIVELY", "CONSUME_ACTIVELY")),
  allocation: optional(record({ strategy: oneOf(...STRATEGIES, "FUNCTION"), queues: optional(list(record(queue), MAX_HELD_QUEUES)) })),
  replaceSubscription: optional(boolean),
  termsVersion: optional(offset),
  broadcast: optional(record({ topics: list(topic, MAX_SUBSCRIPTIONS_PER_MEMBER), offsets: commits })),
  orderly: optional(boolean),
  idempotenceWindow: optional(integer(1, MAX_IDEMPOTENCE_WINDOW)),
  pops: optional(record({ instance: offset, maxReconsumeTimes: integer(0, 2 ** 31 - 1) })),
});

const subscribeRequest = record({
  memberId,
  wish: offset,
  subscriptions: list(pair(topic, anyFilter), MAX_SUBSCRIPTIONS_PER_MEMBER + 1),
  consumeTimestamp: optional(time),
});

const pickRequest = record({ memberId, queues: list(record(queue), MAX_HELD_QUEUES), consumeTimestamp: optional(time) });

const heldQueue = record({
  ...queue,
  commitOffset: integer(-1, Number.MAX_SAFE_INTEGER),
  nextOffset: offset,
  want: integer(0, MAX_PULL_BATCH),
  resets,
});

const key = filled(MAX_IDEMPOTENCE_KEY_LENGTH);
const keys = optional(record({ number: offset, finished: list(key, MAX_KEYS_IN_HAND), released: list(key, MAX_KEYS_IN_HAND) }));
const claimKeysRequest = record({ memberId, keys: list(key, MAX_PULL_BATCH) });

const fetchRequest = record({
  memberId,
  generation: offset,
  held: list(heldQueue, MAX_HELD_QUEUES),
  released: commits,
  keys,
  wait: integer(0, LONG_POLL),
});

const quitRequest = record({ memberId, commits, keys });

/** A client's second consumer in a group has a number behind the id. */
const consumerId = text(MAX_CLIENT_ID_LENGTH + 8);
const allocateReply = record({ memberId, round: offset, shares: nullable(list(triple(consumerId, topic, queueId), MAX_SHARED_QUEUES)) });
const settleRequest = record({
  memberId,
  ...queue,
  resets,
  maxReconsumeTimes: integer(0, 2 ** 31 - 1),
  results: list(
    record({ queueOffset: offset, action: oneOf("retry", "dead"), delayLevel: optional(integer(0, 2 ** 31 - 1)), reconsumeTimes: optional(integer(0, 2 ** 31 - 2)), error: optional(text(MAX_ERROR_TEXT)) }),
    MAX_PULL_BATCH,
  ),
});

const finishRequest = record({
  memberId,
  ...queue,
  resets,
  queueOffsets: list(offset, MAX_PULL_BATCH),
  frame: (value) => value as ArrayBuffer,
  keys: optional(list(key, MAX_PULL_BATCH)),
});

const resetOffsetRequest = record({ group, topic, queueId: nullable(queueId), timestamp: nullable(time), offset: nullable(offset) });
const deleteGroupRequest = record({ group, force: boolean });
const deadLettersRequest = record({ group, offset });
const lettersRequest = record({ group, queueOffsets: list(offset, MAX_PULL_BATCH) });

const pullRequest = record({ ...queue, expression: textFilter, offset, max: integer(1, MAX_PULL_BATCH) });

const receiveRequest = record({
  memberId, receive: offset, max: integer(1, MAX_RECEIVE), invisibleDuration: integer(1, MAX_INVISIBLE_DURATION), wait: integer(0, LONG_POLL),
});
const claimHandle = record({ ...queue, queueOffset: offset, epoch: offset, number: offset, version: offset });
const ackRequest = record({ memberId, handles: list(claimHandle, MAX_CLAIMS), again: boolean });
const changeInvisibleRequest = record({ memberId, handle: claimHandle, invisibleDuration: integer(1, MAX_INVISIBLE_DURATION), again: boolean });

const inboxRequest = record({ after: offset, declined: list(offset, MAX_NOTICES), wait: integer(0, LONG_POLL), close: optional(boolean) });
const listenersRequest = record({ topic, tags: nullable(text(MAX_PROPERTIES_BYTES)) });
const recallRequest = record({ topic, due: offset, msgId: filled(MAX_KEY_LENGTH) });
const timerPlace = record({ due: offset, level: integer(0, MAX_DELAY_LEVELS), offset });
const pendingTimersRequest = record({ topic: nullable(topic), begin: offset, end: offset, after: nullable(timerPlace), max: integer(1, MAX_WAITING) });

const endTransactionRequest = record({ producerGroup: nullable(group), transactionId: filled(MAX_KEY_LENGTH), state: oneOf("COMMIT", "ROLLBACK", "UNKNOWN"), fromCheck: boolean });

const openTransactionsRequest = record({ offset, max: integer(1, MAX_WAITING) });

const searchOffsetRequest = record({ ...queue, timestamp: time, boundary: oneOf("LOWER", "UPPER") });

const exportRequest = record({ position: offset, end: offset });
const importId = text(MAX_IMPORT_ID_LENGTH);
const importBegin = record({ id: importId });
const importRecords = record({ id: importId, frame: (value) => value });
const importEnd = record({ id: importId, topics: list(topicSpec, MAX_TOPICS), offsets: list(groupOffsets, MAX_GROUP_TOPICS) });

const queryRequest = record({
  topic: nullable(topic),
  key: text(MAX_KEY_LENGTH),
  max: integer(1, MAX_QUERY_MESSAGES),
  begin: offset,
  end: offset,
  before: nullable(offset),
});

function textFilter(value: unknown, field: string): Exclude<Filter, { type: "WASM" }> {
  return typeof value === "object" ? sqlFilter(value, field) : text(MAX_EXPRESSION_LENGTH)(value, field);
}

function anyFilter(value: unknown, field: string): Filter {
  const isModule = typeof value === "object" && value !== null && (value as { type?: unknown }).type === "WASM";
  return isModule ? wasmFilter(value, field) : textFilter(value, field);
}

/** What a port knows of the broker behind it: none yet, or the session that its hello has opened. */
export interface Connection {
  /** The epoch for answers, 0 before there is a broker. */
  epoch(): number;
  /** How far the log is durable, 0 before there is a broker. */
  durable(): number;
  hello(request: unknown): Promise<HelloReply>;
  /** The broker and session of this port; throws SESSION_UNKNOWN before hello and after the broker's end. */
  open(): { broker: Broker; session: Session };
  leave(): void;
  /** Deletes the namespace, which has to be named; resolves when that is done. */
  destroy(namespace: unknown): Promise<null>;
  violation(): void;
  /** Calls that are being worked on, over all connections of this worker. */
  readonly calls: { open: number };
  readonly worker: WorkerKind;
}

/**
 * The broker's side of one port. Everything that arrives is unknown until it is checked here; everything that goes
 * out is an Answer. Behind this wall nothing is checked twice.
 */
export function serve(port: PortLike, connection: Connection): void {
  const answer = async <T>(work: () => T | Promise<T>, epoch = connection.epoch): Promise<Answer<T>> => {
    connection.calls.open++;
    try {
      const value = await work();
      return handedOver({ ok: true, epoch: epoch(), durable: connection.durable(), value });
    } catch (error) {
      return { ok: false, epoch: epoch(), error: errorToData(error) };
    } finally {
      connection.calls.open--;
    }
  };

  const api: Record<keyof BrokerApi, (...given: unknown[]) => Promise<Answer<unknown>>> = {
    hello: (request) => answer(() => connection.hello(request)),
    leave: () => answer(() => (connection.leave(), null)),
    ping: () => answer(() => (connection.open(), null)),
    send: (frame, from) =>
      answer(() => {
        const { broker, session } = connection.open();
        return broker.send.send(frame, optional(offset)(from, "from"), session.traffic);
      }),
    flush: (from, to) => answer(() => connection.open().broker.flushes.flush(offset(from, "from"), offset(to, "to"))),
    recall: (request) => answer(() => connection.open().broker.recalls.recall(recallRequest(request, "recall"))),
    pendingTimers: (request) => answer(() => connection.open().broker.pendingTimers.list(pendingTimersRequest(request, "pendingTimers"))),
    route: (name, create) =>
      answer(() => {
        const { broker } = connection.open();
        const checked = topic(name, "topic");
        return boolean(create, "create") ? broker.topics.forSending(checked) : broker.topics.get(checked);
      }),
    join: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = joinRequest(request, "join");
        const { consumeFromWhere, consumeTimestamp = 0 } = checked;
        const starts = consumeFromWhere === "CONSUME_FROM_TIMESTAMP" ? await broker.starts.at(consumeTimestamp, checked) : undefined;
        return broker.filters.bring(session, checked.subscriptions, (modules) => {
          const member = broker.groups.join(session, checked, modules, starts);
          return { memberId: member.id, termsVersion: member.group.termsVersion };
        });
      }),
    fetch: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = fetchRequest(request, "fetch");
        return broker.fetches.fetch(broker.groups.memberOf(session, checked.memberId), checked);
      }),
    quit: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        broker.groups.quit(session, quitRequest(request, "quit"));
        return null;
      }),
    subscribe: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = subscribeRequest(request, "subscribe");
        const member = broker.groups.memberOf(session, checked.memberId);
        const { consumeTimestamp } = checked;
        const place = { group: member.group.name, subscriptions: checked.subscriptions, queues: [] };
        const starts = consumeTimestamp === undefined ? undefined : await broker.starts.at(consumeTimestamp, place);
        connection.open();
        return broker.filters.bring(session, checked.subscriptions, (modules) => {
          connection.open();
          // It may have gone meanwhile.
          return broker.groups.subscribe(broker.groups.memberOf(session, checked.memberId), checked, modules, starts);
        });
      }),
    pick: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = pickRequest(request, "assign");
        const { name } = broker.groups.memberOf(session, checked.memberId).group;
        const { consumeTimestamp, queues } = checked;
        const starts = consumeTimestamp === undefined ? undefined : await broker.starts.at(consumeTimestamp, { group: name, subscriptions: [], queues });
        connection.open();
        broker.groups.pick(broker.groups.memberOf(session, checked.memberId), checked, starts);
        return null;
      }),
    allocate: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        broker.groups.allocate(session, allocateReply(request, "allocate"));
        return null;
      }),
    claimKeys: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        const checked = claimKeysRequest(request, "claimKeys");
        return broker.keys.claim(broker.groups.memberOf(session, checked.memberId), checked.keys);
      }),
    settle: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        const checked = settleRequest(request, "settle");
        return broker.retries.settle(broker.groups.memberOf(session, checked.memberId), checked);
      }),
    finish: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        const checked = finishRequest(request, "finish");
        return broker.completions.finish(broker.groups.memberOf(session, checked.memberId), checked);
      }),
    pull: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        return broker.fetches.pull(pullRequest(request, "pull"), session.traffic);
      }),
    receive: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = receiveRequest(request, "receive");
        return broker.pops.receive(broker.groups.popperOf(session, checked.memberId), checked);
      }),
    ack: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = ackRequest(request, "ack");
        return broker.pops.ack(broker.groups.popperOf(session, checked.memberId), checked);
      }),
    changeInvisible: (request) =>
      answer(async () => {
        const { broker, session } = connection.open();
        const checked = changeInvisibleRequest(request, "changeInvisibleDuration");
        return broker.pops.changeInvisible(broker.groups.popperOf(session, checked.memberId), checked);
      }),
    inbox: (request) =>
      answer(() => {
        const { broker, session } = connection.open();
        return broker.inboxes.poll(session, inboxRequest(request, "inbox"));
      }),
    listeners: (request) => answer(() => connection.open().broker.requests.listeners(listenersRequest(request, "listeners"))),
    reply: (frame) => answer(() => connection.open().broker.requests.reply(frame)),
    registerProducer: (name, isThere) =>
      answer(() => {
        const { broker, session } = connection.open();
        const checked = group(name, "producerGroup");
        if (boolean(isThere, "isThere")) broker.producers.join(session, checked);
        else broker.producers.leave(session, checked);
        return null;
      }),
    endTransaction: (request) =>
      answer(() => {
        const { broker } = connection.open();
        const checked = endTransactionRequest(request, "endTransaction");
        if (checked.fromCheck) broker.transactionChecks.answered(checked.transactionId, checked.producerGroup);
        return broker.transactions.end(checked);
      }),
    openTransactions: (request) => answer(() => connection.open().broker.openTransactions.list(openTransactionsRequest(request, "openTransactions"))),
    searchOffset: (request) => answer(() => connection.open().broker.times.search(searchOffsetRequest(request, "searchOffset"))),
    createTopic: (spec) => answer(() => connection.open().broker.topics.create(topicSpec(spec, "createTopic"))),
    deleteTopic: (name) => answer(() => connection.open().broker.removals.deleteTopic(topic(name, "topic"))),
    createGroup: (spec) => answer(() => connection.open().broker.groupConfigs.create(groupSpec(spec, "createGroup"))),
    deleteGroup: (request) => answer(() => connection.open().broker.removals.deleteGroup(deleteGroupRequest(request, "deleteGroup"))),
    destroy: (namespace) => {
      // The broker that answers is no more by then.
      const epoch = connection.epoch();
      return answer(() => connection.destroy(namespace), () => epoch);
    },
    topicRoute: (name) => answer(() => connection.open().broker.stats.route(topic(name, "topic"))),
    cluster: () => answer(() => connection.open().broker.stats.cluster()),
    brokerStats: () => answer(() => connection.open().broker.brokerStats()),
    topics: () => answer(() => connection.open().broker.topics.list()),
    topicStats: (name) => answer(() => connection.open().broker.stats.topic(topic(name, "topic"))),
    consumeStats: (name) => answer(() => connection.open().broker.stats.consume(group(name, "group"))),
    groups: () => answer(() => connection.open().broker.connections.groups()),
    clients: () =>
      answer(() => {
        const { broker } = connection.open();
        return broker.connections.clients(broker.sessions, broker.producers);
      }),
    consumerConnections: (name) => answer(() => connection.open().broker.connections.of(group(name, "group"))),
    updateBrokerConfig: (settings) =>
      answer(() => connection.open().broker.updateConfig(mutableSettings(settings, "updateBrokerConfig") as Partial<MutableSettings>)),
    queryMessages: (request) => answer(() => connection.open().broker.queries.ask(queryRequest(request, "queryMessages"))),
    messageAt: (position) => answer(() => connection.open().broker.queries.at(offset(position, "position"))),
    deadLetters: (request) => answer(() => connection.open().broker.deadLetters.list(deadLettersRequest(request, "deadLetters"))),
    resendDeadLetters: (request) => answer(() => connection.open().broker.deadLetters.resend(lettersRequest(request, "resendDeadLetters"))),
    discardDeadLetters: (request) => answer(() => connection.open().broker.deadLetters.discard(lettersRequest(request, "discardDeadLetters"))),
    resetOffset: (request) => answer(() => connection.open().broker.resets.reset(resetOffsetRequest(request, "resetOffset"))),
    messageTrack: (msgId) => answer(() => connection.open().broker.tracks.of(text(MAX_KEY_LENGTH)(msgId, "msgId"))),
    diagnostics: () => answer(() => ({ ...connection.open().broker.diagnostics(), calls: connection.calls.open, worker: connection.worker })),
    beginExport: () => answer(() => connection.open().broker.exports.begin()),
    exportRecords: (request) => answer(() => connection.open().broker.exports.read(exportRequest(request, "exportRecords"))),
    beginImport: (request) => answer(() => connection.open().broker.imports.begin(importBegin(request, "beginImport").id)),
    importRecords: (request) => answer(() => connection.open().broker.imports.records(importRecords(request, "importRecords"))),
    endImport: (request) => answer(() => connection.open().broker.imports.end(importEnd(request, "endImport"))),
  };

  const facade = Object.freeze(Object.assign(Object.create(null) as object, api));
  const endpoint = guardBroker(port, {
    methods: BROKER_METHODS,
    maxCalls: MAX_CALLS_PER_SESSION,
    onViolation: () => connection.violation(),
    epoch: () => connection.epoch(),
  });
  expose(facade, endpoint);
}

/** Smaller ones are copied faster than transferred. */
const TRANSFER_MIN_BYTES = 16 * 1024;

/** Records were copied out of the log for this answer alone: their memory goes over the port with it. */
function handedOver<T extends Answer<unknown>>(answer: T): T {
  const records = answer.ok ? (answer.value as { records?: unknown } | null)?.records : undefined;
  if (!isUint8Array(records) || records.byteLength < TRANSFER_MIN_BYTES || records.byteLength < records.buffer.byteLength) return answer;
  return transfer(answer, [records.buffer]);
}
