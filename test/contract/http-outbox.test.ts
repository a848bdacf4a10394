/** mq.createHttpOutbox: a topic's messages to an HTTP API that fails and comes back, in virtual time. */
import { describe, expect, test } from "vitest";
import { EntityLines } from "../../src/client/http-outbox/entity-lines.ts";
import type { HttpOutbox, HttpOutboxMessage, HttpOutboxOptions, HttpOutboxProgress, MQError, TabMQ } from "../../src/index.ts";
import type { CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { HttpWorld } from "../support/http-world.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const SECOND = 1000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const request: HttpOutboxOptions["request"] = () => ({ url: "/orders" });
const status = (code: number, headers: Record<string, string> = {}, body: string | null = null) => new Response(body, { status: code, headers });

interface World {
  origin: VirtualOrigin;
  http: HttpWorld;
  /** What a commit takes, ms. */
  device: { delay: number };
  tab: (clientId?: string) => Promise<TabMQ>;
  /** An outbox in a tab of its own, or in the one given. */
  open: (options?: Partial<HttpOutboxOptions>, mq?: TabMQ) => Promise<HttpOutbox>;
  /** "a1" goes to entity "a"; "1" to none. */
  send: (...bodies: string[]) => Promise<string[]>;
  pass: (ms: number) => Promise<void>;
  until: (condition: () => boolean | Promise<boolean>) => Promise<void>;
}

/** One queue unless said otherwise: the hardest place for entities that are not to wait for each other. */
function inTime(work: (world: World) => Promise<void>, { queues = 1 } = {}): () => Promise<void> {
  return async () => {
    const disk = new MemoryDisk();
    const device = { delay: 0 };
    class Store extends MemoryStore {
      override async commit(batch: CommitBatch): Promise<CommitOutcome> {
        if (device.delay > 0) await origin.time.sleep(device.delay);
        return super.commit(batch);
      }
    }
    const origin: VirtualOrigin = new VirtualOrigin(() => new Store(disk), { memo: null });
    const http = new HttpWorld(origin.time);
    const broker = { defaultTopicQueueNums: queues, fileReservedTime: 30 * DAY };
    const tab = (clientId?: string): Promise<TabMQ> => origin.connect({ broker, ...(clientId !== undefined && { clientId }) }, { network: http.network() });
    const pass = (ms: number): Promise<void> => origin.time.sleep(ms);
    const until: World["until"] = async (condition) => {
      while (!(await condition())) await pass(100);
    };
    await origin.time.run((async () => {
      const sender = await tab("sender");
      await sender.admin.createTopic({ topic: "orders", readQueueNums: queues, writeQueueNums: queues });
      const producer = await sender.createProducer({ producerGroup: "app" });
      const send: World["send"] = async (...bodies) => {
        const msgIds: string[] = [];
        for (const body of bodies) msgIds.push((await producer.send({ topic: "orders", body, keys: body, ...(/^[a-z]/.test(body) && { messageGroup: body[0]! }) })).msgId);
        return msgIds;
      };
      const open: World["open"] = async (options = {}, mq) => (mq ?? (await tab())).createHttpOutbox({ consumerGroup: "sync", topic: "orders", request, ...options });
      await work({ origin, http, device, tab, open, send, pass, until });
    })());
    origin.killAll();
  };
}

describe("a request", () => {
  test("carries the message and its idempotency key, and an answer of 2xx ends it", inTime(async ({ http, tab, open, until }) => {
    const mq = await tab();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const { msgId } = await producer.send({ topic: "orders", body: { id: 7 } });
    const outbox = await open({}, mq);
    const sent: HttpOutboxMessage[] = [];
    outbox.on("sent", (event) => sent.push(event));
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.seen).toMatchObject([{ method: "POST", url: "https://shop.test/orders", body: `{"id":7}`, key: `"${msgId}"` }]);
    expect(http.seen[0]!.headers.get("content-type")).toBe("application/json");
    expect(sent).toEqual([{ msgId, keys: [], clientId: mq.clientId, attempt: 1, status: 201, reason: "HTTP 201" }]);
  }));

  test("is what the application says: a Request, another method, no body, a key of its own", inTime(async ({ http, open, send, until }) => {
    await send("1", "2", "3", "4");
    const made: HttpOutboxOptions["request"] = (message) => {
      const url = `https://shop.test/${message.text()}`;
      if (message.text() === "1") return new Request(url, { method: "PUT", body: "own", headers: { "idempotency-key": "mine" } });
      if (message.text() === "2") return { url, method: "DELETE", body: null };
      if (message.text() === "3") return { url: new URL(url), method: "GET" };
      return null;
    };
    const outbox = await open({ request: made, idempotencyKey: ({ keys }) => `k-${keys[0]}`, concurrency: 1 });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.seen.map(({ method, url, body, key }) => [method, url.at(-1), body, key])).toEqual([["PUT", "1", "own", "mine"], ["DELETE", "2", "", "k-2"], ["GET", "3", "", "k-3"]]);
  }));

  test("that cannot be made is a dead letter; one that says it may pass is tried again", inTime(async ({ http, open, send, until }) => {
    await send("bad", "token");
    let tokens = 0;
    const outbox = await open({
      request: async (message) => {
        if (message.text() === "bad") throw new Error("no such field: total");
        if (tokens++ < 3) throw Object.assign(new Error("no token yet"), { retriable: true });
        return { url: "/orders" };
      },
    });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.taken).toEqual(["token"]);
    expect((await outbox.deadLetters()).map(({ properties }) => properties["DLQ_ERROR"])).toEqual(["request failed: no such field: total"]);
  }));

  test("that nobody answers ends in time and is tried again under the same key", inTime(async ({ http, open, send, until }) => {
    await send("1");
    let asked = 0;
    http.answer = () => (asked++ === 0 ? new Promise(() => {}) : status(200));
    const outbox = await open({ timeout: 10 * SECOND });
    const retried: string[] = [];
    outbox.on("retried", ({ reason }) => retried.push(reason));
    await until(() => http.taken.length === 1);
    expect(retried).toEqual(["no answer within 10000 ms"]);
    expect(new Set(http.seen.map(({ key }) => key)).size).toBe(1);
  }));

  test("that never comes ends in time too, and keeps no other from its turn", inTime(async ({ http, open, send, until }) => {
    await send("stuck", "1");
    let asked = 0;
    const outbox = await open({ timeout: 10 * SECOND, concurrency: 1, request: (message) => (message.text() === "stuck" && asked++ === 0 ? new Promise<never>(() => {}) : { url: "/orders" }) });
    await until(async () => (await outbox.waiting()) === 0);
    expect([...http.taken].sort()).toEqual(["1", "stuck"]);
  }));

  test("that cannot be sent as it is, is a dead letter: a return that was forgotten does not count as sent", inTime(async ({ http, open, send, until }) => {
    const used = new Request("https://shop.test/orders", { method: "POST", body: "x" });
    await used.text();
    const wrong: Record<string, unknown> = { used, foreign: new Request("ftp://shop.test/orders"), method: { url: "/orders", method: "TRACE" }, nothing: undefined, text: "/orders", noUrl: {}, url: { url: "https://" }, scheme: { url: "ftp://shop.test/orders" }, typo: { url: new URL("htps://shop.test/orders") }, get: { url: "/orders", method: "get", body: "x" } };
    await send(...Object.keys(wrong).map((name) => name.toUpperCase()));
    const outbox = await open({ request: (message) => Object.entries(wrong).find(([name]) => name.toUpperCase() === message.text())![1] as never });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.seen).toEqual([]);
    expect((await outbox.deadLetters()).map(({ properties }) => properties["DLQ_ERROR"]!.replace("request failed: ", "")).sort()).toEqual([
      "request answers a Request whose body has been read; it is asked for a new one each time.",
      "request answers a Request whose url fetch cannot take: ftp://shop.test/orders.",
      "request has a body, which GET cannot have.",
      "request has a url that fetch cannot take: ftp://shop.test/orders.",
      "request has a url that fetch cannot take: htps://shop.test/orders.",
      "request has no url that can be read: https://.",
      "request has no url that can be read: undefined.",
      expect.stringMatching(/^request is refused by fetch: .*TRACE/),
      "request must answer a Request, an object with a url, or null.",
      "request must answer a Request, an object with a url, or null.",
    ]);
  }));

  test("is not led elsewhere, because a POST becomes a GET on such a way, unless the application says so", inTime(async ({ http, open, send, until }) => {
    await send("1", "2", "3");
    const url = "https://shop.test/orders";
    const outbox = await open({ concurrency: 1, request: (message) => (message.text() === "1" ? { url } : message.text() === "2" ? new Request(url, { method: "POST" }) : { url, redirect: "follow" }) });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.seen.map(({ redirect }) => redirect)).toEqual(["manual", "manual", "follow"]);
  }));

  test("options that are not known or of the wrong kind are refused", inTime(async ({ open }) => {
    await expect(open({ retries: 3 } as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "httpOutbox.retries" });
    await expect(open({ request: "/orders" as never })).rejects.toMatchObject({ field: "httpOutbox.request" });
    await expect(open({ onDead: "stop" as never })).rejects.toMatchObject({ field: "httpOutbox.onDead" });
  }));
});

describe("a server that fails", () => {
  test("is asked again, less and less often, under the same key", inTime(async ({ http, open, send, until }) => {
    await send("1");
    http.answer = () => (http.seen.length < 6 ? status([500, 502, 408, 425, 599][http.seen.length - 1]!) : status(200));
    const outbox = await open();
    await until(() => http.taken.length === 1);
    expect(new Set(http.seen.map(({ key }) => key)).size).toBe(1);
    const waits = http.timesOf("1").map((at, index, all) => at - (all[index - 1] ?? 0)).slice(1);
    for (const [at, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(500 * 2 ** at);
      expect(wait).toBeLessThanOrEqual(1000 * 2 ** at + 20);
    }
    expect(await outbox.deadLetters()).toEqual([]);
  }));

  test("that says Retry-After is left alone for so long: in seconds, as a date, by its own clock", inTime(async ({ http, origin, open, send, until }) => {
    await send("seconds", "date", "clock", "nonsense");
    const httpDate = (ms: number): string => new Date(ms).toUTCString();
    const now = (): number => origin.time.now();
    http.answer = ({ body }) => {
      if (http.timesOf(body).length > 1) return status(200);
      if (body === "seconds") return status(429, { "retry-after": "120" });
      if (body === "date") return status(503, { "retry-after": httpDate(now() + 60 * SECOND) });
      // The server lives a year ahead of the device.
      if (body === "clock") return status(503, { "retry-after": httpDate(now() + 365 * DAY + 30 * SECOND), date: httpDate(now() + 365 * DAY) });
      return status(503, { "retry-after": "soon" });
    };
    const outbox = await open();
    await until(async () => (await outbox.waiting()) === 0);
    const wait = (body: string): number => http.timesOf(body)[1]!;
    expect(wait("seconds")).toBeGreaterThanOrEqual(120 * SECOND);
    expect(wait("seconds")).toBeLessThan(121 * SECOND);
    expect(Math.abs(wait("date") - 60 * SECOND)).toBeLessThan(2 * SECOND);
    expect(Math.abs(wait("clock") - 30 * SECOND)).toBeLessThan(2 * SECOND);
    // The control: where it says nothing that can be read, the back-off counts.
    expect(wait("nonsense")).toBeLessThan(2 * SECOND);
  }));

  test("for one entity keeps only that one waiting, in its order; the others go on, also in the same queue", inTime(async ({ http, open, send, until, pass }) => {
    await send("a1", "b1", "a2", "b2", "1", "a3", "b3");
    let isDown = true;
    http.answer = ({ body }) => (body === "a1" && isDown ? status(503) : status(200));
    const outbox = await open();
    await until(() => http.taken.length === 4);
    await pass(600 * SECOND);
    expect(new Set(http.taken.slice(0, 4))).toEqual(new Set(["b1", "b2", "b3", "1"]));
    expect(http.bodies.filter((body) => body.startsWith("b"))).toEqual(["b1", "b2", "b3"]);
    expect(http.bodies).not.toContain("a2");
    expect(await outbox.waiting()).toBe(3);
    isDown = false;
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.taken.filter((body) => body.startsWith("a"))).toEqual(["a1", "a2", "a3"]);
  }));

  test("control: without lines an entity's order is lost", inTime(async ({ http, open, send, until }) => {
    const { run } = EntityLines.prototype;
    EntityLines.prototype.run = (_entity, _signal, work) => work();
    try {
      await send("a1", "a2", "a3");
      http.answer = ({ body }) => (body === "a1" && http.timesOf("a1").length < 2 ? status(503) : status(200));
      await open();
      await until(() => http.taken.length === 3);
      expect(http.taken).not.toEqual(["a1", "a2", "a3"]);
    } finally {
      EntityLines.prototype.run = run;
    }
  }));

  test("is given up after maxAttempts answers, if the application wants that; without, never", inTime(async ({ http, open, send, until, pass }) => {
    await send("1");
    http.answer = () => (http.seen.length <= 3 ? null : status(503, {}, "down"));
    const patient = await open({ consumerGroup: "patient" });
    const outbox = await open({ maxAttempts: 4 });
    await until(async () => (await outbox.deadLetters()).length === 1);
    // What the network did is not the server's.
    expect((await outbox.deadLetters())[0]!.properties["DLQ_ERROR"]).toBe("Given up after 4 answers; the last: HTTP 503");
    await pass(3 * HOUR);
    expect(await patient.deadLetters()).toEqual([]);
    expect(await patient.waiting()).toBe(1);
  }));
});

describe("no network", () => {
  test("a day offline burns no tries and makes no dead letters; then everything goes out at once, in order", inTime(async ({ http, origin, open, send, until, pass }) => {
    http.setOnline(false);
    const outbox = await open();
    await send("a1", "a2", "b1", "1");
    await pass(DAY);
    expect(http.seen).toEqual([]);
    expect(await outbox.progress()).toMatchObject({ waiting: 4, dead: 0 });
    const at = origin.time.now();
    http.setOnline(true);
    await until(() => http.taken.length === 4);
    expect(origin.time.now() - at).toBeLessThan(SECOND);
    expect(http.taken.filter((body) => body.startsWith("a"))).toEqual(["a1", "a2"]);
  }));

  test("a browser that thinks it is online is not believed: tries fail for a day, none becomes a dead letter, and `online` ends the wait", inTime(async ({ http, origin, open, send, until, pass }) => {
    http.answer = () => null;
    const outbox = await open();
    await send("1");
    await pass(DAY);
    expect(http.seen.length).toBeGreaterThan(100);
    expect(http.seen.length).toBeLessThan(800);
    expect(await outbox.deadLetters()).toEqual([]);
    http.answer = () => status(200);
    await pass(SECOND);
    const at = origin.time.now();
    http.change();
    await until(() => http.taken.length === 1);
    expect(origin.time.now() - at).toBeLessThan(SECOND);
  }));

  test("control: what the server has asked for is not shortened by a network that comes back, but by retryNow", inTime(async ({ http, open, send, until, pass }) => {
    http.answer = () => (http.seen.length === 1 ? status(503, { "retry-after": "3600" }) : status(200));
    await send("1");
    const outbox = await open();
    await until(() => http.seen.length === 1);
    await pass(SECOND);
    http.change();
    await pass(60 * SECOND);
    expect(http.seen).toHaveLength(1);
    outbox.retryNow();
    await until(() => http.taken.length === 1);
  }));
});

describe("a refusal", () => {
  test("makes a dead letter at once, with its status and the beginning of the answer; those behind go on", inTime(async ({ http, open, send, until }) => {
    const [first] = await send("a1", "a2");
    http.answer = ({ body }) => (body === "a1" ? status(422, {}, `{"error": "no\n tea", "more": "${"x".repeat(5000)}"}`) : status(200));
    const outbox = await open();
    const dead: HttpOutboxMessage[] = [];
    outbox.on("dead", (event) => dead.push(event));
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.bodies).toEqual(["a1", "a2"]);
    const [letter] = await outbox.deadLetters();
    expect(letter!.msgId).toBe(first);
    expect(letter!.properties["DLQ_ERROR"]).toMatch(/^HTTP 422: \{"error": "no tea"/);
    expect(letter!.properties["DLQ_ERROR"]!.length).toBeLessThanOrEqual(400);
    expect(dead).toMatchObject([{ msgId: first, messageGroup: "a", status: 422, attempt: 1, keys: ["a1"] }]);
  }));

  test("is told when its letter is there: who hears of it can send it again, and the last progress knows it, however slow the disk", inTime(async ({ http, device, open, send, until, pass }) => {
    const outbox = await open();
    const progress: HttpOutboxProgress[] = [];
    outbox.on("progress", (now) => progress.push(now));
    const failures: unknown[] = [];
    const stopMending = outbox.on("dead", ({ msgId }) => void outbox.resend(msgId, { body: "2" }).catch((error: unknown) => failures.push(error)));
    http.answer = ({ body }) => (body === "2" ? status(200) : status(422));
    await send("1");
    device.delay = SECOND;
    await until(async () => http.taken.length === 1);
    expect(failures).toEqual([]);
    await until(async () => (await outbox.deadLetters()).length === 0);

    stopMending();
    http.answer = () => status(422);
    device.delay = 0;
    await send("3");
    device.delay = SECOND;
    await pass(60 * SECOND);
    expect(progress.at(-1)).toMatchObject({ waiting: 0, dead: 1 });
  }));

  test("whose text does not end is one all the same, with what there was of it", inTime(async ({ http, open, send, until }) => {
    await send("1");
    http.answer = () => new Response(new ReadableStream({ start: (body) => body.enqueue(new TextEncoder().encode("no such")) }), { status: 400 });
    const outbox = await open({ timeout: 10 * SECOND });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.seen).toHaveLength(1);
    expect((await outbox.deadLetters()).map(({ properties }) => properties["DLQ_ERROR"])).toEqual(["HTTP 400: no such"]);
  }));

  test("may be read otherwise by the application, but not by a word that is none", inTime(async ({ http, open, send, until }) => {
    await send("1");
    const errors: string[] = [];
    let asked = 0;
    http.answer = () => status(503);
    const outbox = await open({ onResponse: () => (asked++ === 0 ? "yes" : "done") as "done" });
    outbox.on("error", ({ message }) => errors.push(message));
    await until(async () => (await outbox.waiting()) === 0);
    expect(asked).toBe(2);
    expect(errors).toEqual([`onResponse failed: it answers "done", "retry", "dead" or nothing, not yes`]);
    expect(await outbox.deadLetters()).toEqual([]);
  }));

  test("may be read otherwise by the application, which may also write down what the server said before the message is done", inTime(async ({ http, open, send, until }) => {
    await send("conflict", "login", "1");
    http.answer = ({ body }) => (body === "conflict" ? status(409) : body === "login" && http.timesOf("login").length < 3 ? status(401) : status(200, {}, `{"id": 12}`));
    const ids: unknown[] = [];
    let faults = 0;
    const outbox = await open({
      onResponse: async (response, message) => {
        if (response.status === 409) return "done";
        if (response.status === 401) return "retry";
        if (message.text() === "1" && faults++ === 0) throw new Error("the database is busy");
        ids.push(await response.json());
        return undefined;
      },
    });
    const errors: string[] = [];
    outbox.on("error", ({ message }) => errors.push(message));
    await until(async () => (await outbox.waiting()) === 0);
    expect(await outbox.deadLetters()).toEqual([]);
    expect(http.timesOf("login")).toHaveLength(3);
    expect(ids).toEqual([{ id: 12 }, { id: 12 }]);
    expect(errors).toEqual(["onResponse failed: the database is busy"]);
  }));

  test("counts, also when the application never says what it makes of it", inTime(async ({ http, open, send, until }) => {
    await send("1");
    const outbox = await open({ maxAttempts: 3, timeout: 10 * SECOND, onResponse: () => new Promise<never>(() => {}) });
    const errors: string[] = [];
    const retried: unknown[] = [];
    outbox.on("error", ({ message }) => errors.push(message));
    outbox.on("retried", ({ status: was }) => retried.push(was));
    await until(async () => (await outbox.deadLetters()).length === 1);
    expect(http.seen).toHaveLength(3);
    expect(retried).toEqual([201, 201]);
    expect(errors).toEqual(Array(3).fill("onResponse failed: no answer within 10000 ms"));
    expect((await outbox.deadLetters())[0]!.properties["DLQ_ERROR"]).toBe("Given up after 3 answers; the last: HTTP 201");
  }));

  test("is judged by the tab that takes over, and no error here, when this one ends meanwhile", inTime(async ({ http, open, send, until }) => {
    await send("1");
    const outbox = await open({ onResponse: () => new Promise<never>(() => {}) });
    const errors: MQError[] = [];
    outbox.on("error", (error) => errors.push(error));
    await until(() => http.seen.length === 1);
    await outbox.shutdown(0);
    expect(errors).toEqual([]);
    const next = await open();
    await until(async () => (await next.waiting()) === 0);
    expect(new Set(http.seen.map(({ key }) => key)).size).toBe(1);
  }));

  test("is sent again as it should have been: a new message with a key of its own, and the letter is gone when that is taken", inTime(async ({ http, open, send, until }) => {
    const [first] = await send("a1");
    http.answer = ({ body }) => (body === "a1" ? status(422) : status(200));
    const outbox = await open();
    await until(async () => (await outbox.deadLetters()).length === 1);
    await outbox.resend(first!, { body: "a1, mended" });
    await until(async () => (await outbox.deadLetters()).length === 0);
    expect(http.taken).toEqual(["a1, mended"]);
    expect(http.seen[0]!.key).not.toBe(http.seen[1]!.key);
    expect(http.seen[1]!.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    await expect(outbox.resend(first!)).rejects.toMatchObject({ code: "NO_MESSAGE" });
  }));

  test("that blocks keeps its entity waiting, whoever sends, until it is replaced: the replacement goes first", inTime(async ({ http, origin, tab, open, send, until, pass }) => {
    const [first] = await send("a1", "a2", "b1");
    http.answer = ({ body }) => (body === "a1" ? status(422) : status(200));
    const doomed = await tab();
    await open({ onDead: "block" }, doomed);
    await until(() => http.taken.length === 1);
    await send("a3");
    await pass(60 * SECOND);
    expect(http.taken).toEqual(["b1"]);
    // The tab that knew it dies; the next one knows it from the broker.
    origin.killTab(doomed);
    const outbox = await open({ onDead: "block" });
    await pass(60 * SECOND);
    expect(http.bodies.filter((body) => body.startsWith("a"))).toEqual(["a1"]);
    expect(await outbox.progress()).toMatchObject({ waiting: 2, dead: 1 });
    await outbox.resend(first!, { body: "a1!" });
    await until(async () => (await outbox.waiting()) === 0);
    expect(http.taken).toEqual(["b1", "a1!", "a2", "a3"]);
    expect(await outbox.deadLetters()).toEqual([]);
  }));

  test("that blocks is settled by discarding it, from another tab, or by sending it again as it is", inTime(async ({ http, open, send, until, pass }) => {
    await send("a1", "a2", "b1", "b2");
    let isPicky = true;
    http.answer = ({ body }) => (isPicky && body.endsWith("1") ? status(400) : status(200));
    await open({ onDead: "block" });
    const other = await open({ onDead: "block" });
    await until(async () => (await other.deadLetters()).length === 2);
    const [a1, b1] = await other.deadLetters();
    await other.discard([a1!.msgId]);
    await until(() => http.taken.length === 1);
    expect(http.taken).toEqual(["a2"]);
    await pass(30 * SECOND);
    expect(http.bodies).not.toContain("b2");
    isPicky = false;
    await other.resend(b1!.msgId);
    await until(async () => (await other.waiting()) === 0);
    expect(http.taken).toEqual(["a2", "b1", "b2"]);
  }));
});

describe("tabs", () => {
  test("one sends, the others hear of it; what was sent behind a message that is not done is not sent again when its tab dies", inTime(async ({ http, origin, tab, open, send, until, pass }) => {
    const mq = await tab("first");
    const doomed = await open({}, mq);
    const watcher = await open({}, await tab("second"));
    const [heard, progress] = [[] as string[], [] as HttpOutboxProgress[]];
    for (const name of ["sent", "retried", "dead"] as const) watcher.on(name, ({ keys, clientId }) => heard.push(`${clientId} ${name} ${keys[0]}`));
    watcher.on("progress", (now) => progress.push(now));
    let sender: string[] = [];
    await until(async () => (sender = (await doomed.progress()).senders).length === 1);
    let isDown = true;
    http.answer = ({ body }) => (body === "a1" && isDown ? status(503) : body === "c1" ? status(400) : status(200));
    await send("a1", "b1", "c1", "a2", "1", "2", "3");
    await until(() => http.taken.length === 4);
    await pass(SECOND);
    expect(heard).toEqual(expect.arrayContaining([`${sender[0]} retried a1`, `${sender[0]} sent b1`, `${sender[0]} dead c1`]));
    // Exactly those two, though the group's offset stands before all of them.
    expect(await watcher.waiting()).toBe(2);
    expect(progress.at(-1)).toEqual({ waiting: 2, dead: 1, senders: sender });
    const before = http.seen.filter(({ body }) => !body.startsWith("a")).length;
    if (sender[0] === "first") origin.killTab(mq);
    else await watcher.shutdown();
    await pass(120 * SECOND);
    isDown = false;
    const left = sender[0] === "first" ? watcher : doomed;
    await until(async () => (await left.waiting()) === 0);
    expect(http.taken.slice(4)).toEqual(["a1", "a2"]);
    expect(http.seen.filter(({ body }) => !body.startsWith("a"))).toHaveLength(before);
  }));

  test("a tab that is killed while its request is on its way: the next one sends it under the same key", inTime(async ({ http, origin, tab, open, send, until }) => {
    const mq = await tab();
    http.latency = 500;
    await open({}, mq);
    await send("a1", "a2");
    await until(() => http.seen.length === 1);
    origin.killTab(mq);
    await open();
    await until(() => http.taken.length === 2);
    expect(http.taken).toEqual(["a1", "a2"]);
    expect(http.bodies).toEqual(["a1", "a1", "a2"]);
    expect(http.seen[0]!.key).toBe(http.seen[1]!.key);
  }));

  test("with several queues every entity stays in order while tabs come and go", inTime(async ({ http, origin, tab, open, send, until, pass }) => {
    const sentAll: string[] = [];
    let chance = 7;
    http.answer = () => ((chance = (chance * 16_807) % 2_147_483_647) % 3 === 0 ? (chance % 2 === 0 ? null : status(503, { "retry-after": "1" })) : status(200));
    let mq = await tab();
    await open({ maxRetryDelay: 2 * SECOND }, mq);
    for (let round = 1; round <= 6; round++) {
      const bodies = ["a", "b", "c", "d", "e"].map((entity) => `${entity}${round}`);
      sentAll.push(...bodies);
      await send(...bodies);
      await pass(2 * SECOND);
      const next = await tab();
      await open({ maxRetryDelay: 2 * SECOND }, next);
      if (round % 2 === 0) origin.killTab(mq);
      mq = next;
    }
    await until(() => http.taken.length === sentAll.length);
    for (const entity of "abcde") expect(http.taken.filter((body) => body.startsWith(entity))).toEqual(sentAll.filter((body) => body.startsWith(entity)));
  }, { queues: 4 }));

  test("shutdown lets a request end that is on its way, begins no other, and loses no place", inTime(async ({ http, origin, tab, open, send, until, pass }) => {
    const mq = await tab();
    http.latency = 1000;
    http.answer = ({ body }) => (body === "b1" ? status(503) : status(200));
    const outbox = await open({}, mq);
    await send("b1", "b2", "a1", "a2");
    await until(() => http.bodies.includes("a1"));
    const at = origin.time.now();
    await mq.close();
    expect(origin.time.now() - at).toBeLessThan(4 * SECOND);
    await pass(60 * SECOND);
    expect(http.taken).toEqual(["a1"]);
    expect(http.timesOf("b1")).toHaveLength(1);
    await expect(outbox.resend("x")).rejects.toMatchObject({ code: "CLOSED" });
    http.answer = () => status(200);
    const next = await open();
    await until(async () => (await next.waiting()) === 0);
    // Nothing has gone by way of the retry topic, which would have cost the order and ten seconds.
    expect(http.taken).toEqual(expect.arrayContaining(["a1", "a2", "b1", "b2"]));
    expect(http.bodies.filter((body) => body === "a1")).toHaveLength(1);
    expect(http.taken.indexOf("b1")).toBeLessThan(http.taken.indexOf("b2"));
  }));

  test("the worker dies in between: nothing is lost, nothing doubled, the order stays", inTime(async ({ http, origin, open, send, until, pass }) => {
    http.answer = ({ body }) => (http.timesOf(body).length < 2 ? status(503) : status(200));
    const outbox = await open();
    await send("a1", "a2", "b1");
    await pass(300);
    origin.killWorker();
    await until(() => http.taken.length === 3);
    await until(async () => (await outbox.waiting().catch(() => 1)) === 0);
    expect(http.taken.filter((body) => body.startsWith("a"))).toEqual(["a1", "a2"]);
    expect(http.bodies.filter((body) => body === "b1").length).toBeLessThanOrEqual(3);
  }));
});
