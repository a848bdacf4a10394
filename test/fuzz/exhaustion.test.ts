/** Too much of everything: refused with a typed error that names the limit, and whoever else is there is served. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message, Producer, TabMQ } from "../../src/index.ts";
import {
  MAX_BODY_BYTES, MAX_EXPRESSION_LENGTH, MAX_GROUP_TOPICS, MAX_SESSIONS, MAX_SUBSCRIPTIONS_PER_MEMBER, MAX_TAGS_PER_EXPRESSION, MAX_TOPICS, MAX_UNSENT_BYTES,
} from "../../src/model/limits.ts";
import { checkTopic } from "../../src/model/names.ts";
import { BROKER_METHODS } from "../../src/protocol/api.ts";
import { record, text } from "../../src/protocol/validate.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { withOwn } from "./arbitraries.ts";
import { goodHello } from "./hostile-messages.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ clientId: "honest" });
  producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "before" });
});
afterEach(async () => {
  // Whatever was done to the broker: it is the same one, and it works.
  await producer.send({ topic: "t", body: "after" });
  expect((await mq.diagnostics()).broker).toMatchObject({ epoch: 1, damaged: [] });
  await origin.close();
});

interface Answer {
  ok: boolean;
  value?: { memberId: string };
  error?: { code: string; field?: string; message: string };
}

/** A raw port on which anything can be called; each call ends with its answer. */
function caller(): (method: string, args: unknown[] | object) => Promise<Answer> {
  const port = origin.port();
  const waiting = new Map<string, (answer: Answer) => void>();
  port.addEventListener("message", ({ data }: MessageEvent<{ id: string; value: Answer }>) => waiting.get(data.id)?.(data.value));
  port.start();
  let next = 0;
  return (method, args) =>
    new Promise((resolve) => {
      const id = `x${next++}`;
      waiting.set(id, resolve);
      const argumentList = Array.isArray(args) && Reflect.ownKeys(args).length === args.length + 1 ? args.map((value) => ({ type: "RAW", value })) : args;
      port.postMessage({ id, type: "APPLY", path: [method], argumentList }, []);
    });
}

async function hello(name = "hostile"): Promise<ReturnType<typeof caller>> {
  const lockName = `tabmq/default/client/${name}`;
  await origin.locks.acquire(lockName);
  const call = caller();
  expect(await call("hello", [{ ...goodHello, clientId: name, lockName }])).toMatchObject({ ok: true });
  return call;
}

const BIG = 200 * 1024 * 1024;

/** Calls without arguments: whatever is given is not looked at. */
const TAKES_NOTHING = new Set<string>(["leave", "ping", "topics", "groups", "clients", "cluster", "brokerStats", "diagnostics", "beginExport"]);

function nested(depth: number): object {
  let inner: object = {};
  for (let level = 0; level < depth; level++) inner = { inner };
  return inner;
}

describe("large things", () => {
  test.each<[string, () => Message["body"]]>([
    ["200 MiB of bytes", () => new Uint8Array(BIG)],
    ["200 MiB of text", () => "x".repeat(BIG)],
    ["100,000 objects in one another", () => nested(100_000)],
  ])("a body of %s", async (_name, make) => {
    const body = make();
    await expect(producer.send({ topic: "t", body })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message.body", outcome: "rejected" });
  });

  test("200 MiB in place of a call and of every argument: keys of bytes are not listed", async () => {
    // The control is what this did before: it made a text of each of 200 million indexes, and the process died.
    const bytes = new Uint8Array(BIG);
    expect(() => record({})(bytes, "field")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
    const call = await hello();
    for (const method of BROKER_METHODS.filter((name) => !TAKES_NOTHING.has(name))) {
      expect(await call(method, [new Uint8Array(20 * 2 ** 20)]), method).toMatchObject({ ok: false, error: { field: expect.any(String) } });
    }
    const port = origin.port();
    port.postMessage(new Uint8Array(20 * 2 ** 20), []);
    port.postMessage(new String("x".repeat(2 ** 20)), []);
    expect(await call("ping", [])).toMatchObject({ ok: true });
    expect((await mq.diagnostics()).broker.violations).toBe(2);
  });

  test("long texts and numbers are refused without being walked or written out", async () => {
    const long = "a".repeat(2 ** 27);
    expect(() => checkTopic(long)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
    expect(() => text(10)(2n ** 2_000_000n, "field")).toThrow(/not a bigint/);
    const call = await hello();
    const { error } = await call("join", [{ [long]: 1 }]);
    expect(error!.message.length).toBeLessThan(300);
    expect(error!.field!.length).toBeLessThan(300);
  });

  test("more than a tab may hold is refused, and taken again when there is room", async () => {
    const body = new Uint8Array(MAX_BODY_BYTES);
    const sends = Array.from({ length: MAX_UNSENT_BYTES / MAX_BODY_BYTES + 3 }, () => producer.send({ topic: "t", body }, { timeout: 60_000 }));
    const outcomes = await Promise.allSettled(sends);
    const refused = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason as unknown);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(10);
    for (const reason of refused) expect(reason).toMatchObject({ code: "FLOW_CONTROL", outcome: "rejected", retriable: true });
  });

  test("expressions", async () => {
    const call = await hello();
    const join = (expression: string): Promise<Answer> => call("join", [{ group: "g", subscriptions: [["t", expression]], queues: [], consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" }]);
    expect(await join("x".repeat(MAX_EXPRESSION_LENGTH + 1))).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field: "join.subscriptions[0][1]" } });
    const tags = Array.from({ length: MAX_TAGS_PER_EXPRESSION + 1 }, (_, at) => `t${at}`).join("||");
    expect(await join(tags)).toMatchObject({ ok: false, error: { code: "SUBSCRIPTION_PARSE_FAILED" } });
    expect(await join("a || b")).toMatchObject({ ok: true });
  });
});

describe("many things", () => {
  test("100,000 topics", async () => {
    const call = await hello();
    let refused: Answer | undefined;
    for (let at = 0; at < 100_000 && refused === undefined; at += 1000) {
      const answers = await Promise.all(Array.from({ length: 1000 }, (_, more) => call("route", [`topic-${at + more}`, true])));
      refused = answers.find(({ ok }) => !ok);
    }
    expect(refused).toMatchObject({ error: { code: "FLOW_CONTROL", field: "topic" } });
    expect(await mq.admin.topics()).toHaveLength(MAX_TOPICS);
  });

  test("groups that are remembered for ever", async () => {
    const call = await hello();
    let refused: Answer | undefined;
    let joined = 0;
    for (let at = 0; at < 200 && refused === undefined; at++) {
      const subscriptions = Array.from({ length: MAX_SUBSCRIPTIONS_PER_MEMBER }, (_, topic) => [`nowhere-${topic}`, "*"]);
      const answer = await call("join", [{ group: `group-${at}`, subscriptions, queues: [], consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" }]);
      if (answer.ok) joined++;
      else refused = answer;
      if (answer.ok) await call("quit", [{ memberId: answer.value!.memberId, commits: [] }]);
    }
    expect(refused).toMatchObject({ error: { code: "FLOW_CONTROL", field: "group" } });
    expect(joined).toBe(Math.floor(MAX_GROUP_TOPICS / MAX_SUBSCRIPTIONS_PER_MEMBER));
    // A group that is known goes on.
    expect(await call("join", [{ group: "group-0", subscriptions: [["nowhere-0", "*"]], queues: [], consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" }])).toMatchObject({ ok: true });
  });

  test("connections", async () => {
    for (let at = 1; at < MAX_SESSIONS; at++) await hello(`client-${at}`);
    const lockName = "tabmq/default/client/one-more";
    await origin.locks.acquire(lockName);
    expect(await caller()("hello", [{ ...goodHello, clientId: "one-more", lockName }])).toMatchObject({ ok: false, error: { code: "FLOW_CONTROL" } });
  });
});

describe("lists that are more than lists (the raw-port fuzzer found them)", () => {
  test("holes are not passed over", async () => {
    const call = await hello();
    const join = { group: "g", subscriptions: [], queues: [], consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" };
    const hole = Object.assign([], { length: 2 });
    expect(await call("join", [{ ...join, subscriptions: hole }])).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field: "join.subscriptions[0]" } });
    expect(await call("join", [{ ...join, queues: hole }])).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field: "join.queues[0]" } });
    const fetch = { memberId: "x", generation: 0, held: hole, released: [], wait: 0 };
    expect(await call("fetch", [fetch])).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field: "fetch.held[0]" } });
  });

  test.each(["map", "every", "constructor", "toString", "__proto__", "slice"])("an argument list with a %s of its own is a call like any other, or refused; the call is answered", async (key) => {
    const call = await hello();
    const { ok } = await call("ping", withOwn([], key, { polluted: 1 }));
    expect(ok).toBe(true);
    expect(await call("topicStats", withOwn([{ type: "RAW", value: "t" }], key, 7))).toMatchObject({ ok: true });
  });
});
