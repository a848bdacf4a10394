/** A hundred thousand hostile messages on a port of a broker, while an honest client goes on with its work. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { ERROR_CODES, MQError } from "../../src/model/errors.ts";
import { MAX_TOPICS } from "../../src/model/limits.ts";
import { BROKER_METHODS, type Answer as ApiAnswer, type TopicConfig } from "../../src/protocol/api.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { FRESH, goodHello, hostileMessage } from "./hostile-messages.ts";
import { fuzz, IS_LONG, samples } from "./fuzz.ts";

type Answer = ApiAnswer<unknown>;

const MESSAGES_PER_RUN = 200;
const RUNS = 500;

type Intrinsics = Map<string, unknown>;

/** Every own property of what all code stands on, by identity. */
function intrinsics(): Intrinsics {
  const all = [Object, Array, Function, String, Number, Boolean, Promise, Map, Set, RegExp, Error, ArrayBuffer, Uint8Array, MQError];
  const found: Intrinsics = new Map();
  for (const object of all.flatMap((type) => [type, type.prototype as object])) {
    for (const key of Reflect.ownKeys(object)) {
      const { value, get } = Object.getOwnPropertyDescriptor(object, key)!;
      found.set(`${found.size} ${String(key)}`, value ?? get);
    }
  }
  return found;
}

function differences(before: Intrinsics, after: Intrinsics): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => !before.has(key) || !Object.is(before.get(key), after.get(key)));
}

/** A port that answers to nobody's rules. Resolves `post` when everything that has an id has its answer. */
class HostilePort {
  answered = 0;
  granted = 0;
  /** Answers that are no answers, and refusals that surprised the broker itself. */
  readonly bad: unknown[] = [];
  posted = 0;
  /** Answers to nothing that was asked. */
  strange = 0;
  #next = 0;
  readonly #port: MessagePort;
  readonly #waiting = new Map<string, unknown>();
  #done: () => void = () => {};

  constructor(port: MessagePort) {
    this.#port = port;
    port.addEventListener("message", ({ data }: MessageEvent<{ id: string; value: Answer }>) => {
      // Ids that the fuzzer made up are answered too; ours once.
      if (!this.#waiting.delete(data.id) && /^x\d+$/.test(data.id)) this.strange++;
      this.#judge(data.value);
      if (this.#waiting.size === 0) this.#done();
    });
    port.start();
  }

  async post(messages: unknown[]): Promise<void> {
    const all = new Promise<void>((resolve) => (this.#done = resolve));
    for (const message of messages) {
      this.posted++;
      this.#port.postMessage(this.#withId(message), []);
    }
    // Something of our own at the end, so that there is an answer to wait for.
    this.#port.postMessage(this.#withId({ id: FRESH, type: "APPLY", path: ["hello"], argumentList: [{ type: "RAW", value: goodHello }] }), []);
    await all;
  }

  #judge(answer: Answer): void {
    this.answered++;
    if (answer.ok === true) this.granted++;
    else if (answer.ok !== false || !ERROR_CODES.includes(answer.error.code) || answer.error.code === "INTERNAL_ERROR") this.bad.push(answer);
  }

  #withId(message: unknown): unknown {
    if (typeof message !== "object" || message === null || (message as { id?: unknown }).id !== FRESH) return message;
    const id = `x${this.#next++}`;
    // comlink's goodbye is heard and not answered, and what is no plain object is not looked into.
    const isAnswered = (message as { type?: unknown }).type !== "RELEASE";
    if (isAnswered) this.#waiting.set(id, message);
    return Object.defineProperty(message, "id", { value: id, enumerable: true });
  }
}

describe("a hostile client on a raw port", () => {
  let origin: NodeOrigin;
  let honest: TabMQ;
  let hostile: HostilePort;
  let before: Intrinsics;
  const acked: string[] = [];
  const received: string[] = [];
  const complaints: unknown[] = [];
  const over = new AbortController();
  let topicBefore: TopicConfig | undefined;
  let heapBefore = 0;
  let work: Promise<void>;

  beforeAll(async () => {
    before = intrinsics();
    origin = new NodeOrigin();
    honest = await origin.connect({ clientId: "honest" });
    for (const event of ["disconnected", "damaged"] as const) honest.on(event, (data) => complaints.push([event, data]));
    await honest.admin.createTopic({ topic: "honest" });
    const consumer = await honest.createPushConsumer({ consumerGroup: "g", subscriptions: { honest: "*" }, messageListener: (message) => void received.push(message.text()) });
    consumer.on("error", (error) => complaints.push(error));
    consumer.on("rebalance", (change) => change.revoked.length > 0 && complaints.push(change));
    const producer = await honest.createProducer({ producerGroup: "p" });
    work = (async () => {
      for (let at = 0; !over.signal.aborted; at++) {
        await producer.send({ topic: "honest", body: `${at}` }).then(() => acked.push(`${at}`), (error: unknown) => complaints.push(error));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    [topicBefore] = await honest.admin.topics();
    heapBefore = process.memoryUsage().heapUsed;
    await origin.locks.acquire("tabmq/default/client/hostile");
    hostile = new HostilePort(origin.port());
    await hostile.post([]);
  });
  afterAll(() => origin.close());

  fuzz("is answered message by message, and hurts nobody", fc.array(hostileMessage, { minLength: MESSAGES_PER_RUN, maxLength: MESSAGES_PER_RUN }), RUNS, async (messages) => {
    await hostile.post(messages);
    expect(hostile.bad.splice(0)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("afterwards everything is as it was", async () => {
    // With a time limit there are as many as there was time for.
    expect(hostile.posted).toBeGreaterThanOrEqual(IS_LONG ? MESSAGES_PER_RUN : MESSAGES_PER_RUN * RUNS);
    expect(hostile.strange).toBe(0);
    // Both kinds are there: a fuzzer whose every message fails at the first check proves little.
    expect(hostile.granted).toBeGreaterThan(hostile.answered / 50);
    expect(hostile.granted).toBeLessThan(hostile.answered / 2);
    expect(differences(before, intrinsics())).toEqual([]);

    over.abort();
    await work;
    await until(() => received.length === acked.length);
    expect(acked.length).toBeGreaterThan(10);
    expect([...received].sort()).toEqual([...acked].sort());
    expect(complaints).toEqual([]);
    const { broker } = await honest.diagnostics();
    expect(broker).toMatchObject({ epoch: 1, damaged: [], sessions: 2 });
    expect(broker.violations).toBeGreaterThan(hostile.posted / 20);
    const topics = await honest.admin.topics();
    expect(topics.length).toBeLessThan(IS_LONG ? MAX_TOPICS : 1000);
    expect(topics.find(({ topic }) => topic === "honest")).toEqual(topicBefore);
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(300 * 2 ** 20);

    // The store parses from its first byte to its last, and the honest topic holds what was acknowledged and nothing else.
    await honest.flush();
    const again = await new NodeOrigin(origin.disk).connect();
    expect((await again.diagnostics()).broker.damaged).toEqual([]);
    const pull = await again.createPullConsumer({ consumerGroup: "reader" });
    const stored: string[] = [];
    for (const queue of await pull.fetchQueues("honest")) {
      for (let offset = 0; ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
        stored.push(...messages.map((message) => message.text()));
        if (status === "NO_NEW_MSG") break;
        offset = nextBeginOffset;
      }
    }
    expect(stored.sort()).toEqual([...acked].sort());
    await again.close();
  });
});

/** The first message of the fuzzer that goes for this, and gets there where nothing holds it. */
function attack(isAimed: (path: readonly unknown[]) => boolean): object[] {
  const aimed = hostileMessage.filter((message) => {
    const { type, id, path, value, argumentList } = (message ?? {}) as Record<string, unknown>;
    // An argument of a kind that comlink does not know ends a call before it does anything.
    const isWhole = Array.isArray(argumentList) && [value, ...(argumentList as unknown[])].every((one) => (one as { type?: unknown } | undefined)?.type === "RAW");
    return type === "SET" && id === FRESH && Array.isArray(path) && isAimed(path) && isWhole;
  });
  return samples(aimed, 1) as object[];
}

test("control: without the guard the same messages pollute prototypes and overwrite methods", async () => {
  const { port1, port2 } = new MessageChannel();
  const thread = new Worker(join(import.meta.dirname, "bare-comlink.cjs"), {
    workerData: { methods: BROKER_METHODS, port: port2 },
    transferList: [port2 as never],
  });
  thread.on("error", () => {});
  const overwrites = attack(([name, ...rest]) => rest.length === 0 && (BROKER_METHODS as readonly unknown[]).includes(name));
  const pollutes = attack(([first, second, ...rest]) => rest.length === 0 && first === "__proto__" && (second === "polluted" || second === "prototype"));
  for (const [at, message] of [...overwrites, ...pollutes].entries()) {
    const answered = new Promise((resolve) => port1.addEventListener("message", resolve, { once: true }));
    port1.start();
    port1.postMessage(Object.defineProperty(message, "id", { value: `x${at}`, enumerable: true }), []);
    await answered;
  }
  const harm = await new Promise<{ polluted: boolean; overwritten: number }>((resolve) => {
    thread.on("message", resolve);
    thread.postMessage("how are you?", []);
  });
  expect(harm).toEqual({ polluted: true, overwritten: 1 });
  port1.close();
  await thread.terminate();
});
