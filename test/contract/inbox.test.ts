/** What the broker tells one client by itself: the seam that transactions and request-reply stand on. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Inboxes, NoticeEnd } from "../../src/broker/inbox.ts";
import type { Session } from "../../src/broker/session.ts";
import type { Connection } from "../../src/client/connection.ts";
import { Inbox } from "../../src/client/inbox.ts";
import { FETCH_TARGET_BYTES, MAX_INBOX_BYTES, MAX_NOTICE_BYTES, MAX_NOTICES } from "../../src/model/limits.ts";
import { systemTimers, type Timers } from "../../src/platform/timers.ts";
import type { NoticeContent } from "../../src/protocol/api.ts";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(() => origin.close());

const reply = (text: string): NoticeContent => ({ type: "reply", record: new TextEncoder().encode(text) });
const check = (group: string, text: string): NoticeContent => ({ type: "check", group, record: new TextEncoder().encode(text) });
const textOf = ({ record }: { record: Uint8Array }): string => new TextDecoder().decode(record);

const inboxes = (): Inboxes => origin.host.broker!.inboxes;
const sessionOf = (clientId: string): Session => [...origin.host.broker!.sessions].find((session) => session.clientId === clientId)!;

/** Tells it, and how it ended, by its text. */
const ends: Record<string, NoticeEnd> = {};
beforeEach(() => Object.keys(ends).forEach((key) => delete ends[key]));
function tell(clientId: string, content: NoticeContent): boolean {
  return inboxes().tell(sessionOf(clientId), content, (end) => {
    expect(ends, "told once").not.toHaveProperty(textOf(content));
    ends[textOf(content)] = end;
  });
}

/** A client that hears replies; `takes`: whether it wants one. */
async function listener(clientId: string, takes: (text: string) => boolean = () => true, overrides: Parameters<NodeOrigin["open"]>[1] = {}): Promise<{ connection: Connection; heard: string[]; stop: () => void }> {
  const connection = await origin.open(clientId, overrides);
  const heard: string[] = [];
  const stop = new Inbox(connection).subscribe("reply", (notice) => {
    heard.push(textOf(notice));
    return takes(textOf(notice));
  });
  await until(() => inboxes().isOpen(sessionOf(clientId)));
  return { connection, heard, stop };
}

/** A tab that polls once by hand, and never says what became of what it got: frozen, or slow. */
async function poll(connection: Connection, after: number, more: object = {}): Promise<number[]> {
  const { notices } = await connection.callOnce("inbox", [{ after, declined: [], wait: 0, ...more }]);
  return notices.map(({ number }) => number);
}

describe("an inbox", () => {
  test("notices come in their order, each once, and whoever told them hears that they have arrived", async () => {
    const { heard } = await listener("a");
    const texts = Array.from({ length: 50 }, (_, at) => `n${at}`);
    for (const text of texts) expect(tell("a", reply(text))).toBe(true);
    await until(() => Object.keys(ends).length === 50);
    expect(heard).toEqual(texts);
    expect(new Set(Object.values(ends))).toEqual(new Set(["delivered"]));
  });

  test("a notice wakes the poll that waits, and only its own client's", async () => {
    const [a, b] = [await listener("a"), await listener("b")];
    tell("b", reply("for b"));
    await until(() => ends["for b"] === "delivered");
    expect([a.heard, b.heard]).toEqual([[], ["for b"]]);
  });

  test("who wants no notices has no inbox: nothing can be told, and nothing waits", async () => {
    await origin.open("a");
    expect(inboxes().isOpen(sessionOf("a"))).toBe(false);
    expect(tell("a", reply("x"))).toBe(false);
  });

  test("what nobody here wants is given back, by type and by what it says", async () => {
    await listener("a", (text) => text === "wanted");
    tell("a", reply("wanted"));
    tell("a", check("g", "no producer of this group"));
    tell("a", reply("unknown"));
    await until(() => Object.keys(ends).length === 3);
    expect(ends).toEqual({ wanted: "delivered", "no producer of this group": "declined", unknown: "declined" });
  });

  test("of two handlers the first that wants it gets it; the last that goes closes the inbox", async () => {
    const connection = await origin.open("a");
    const inbox = new Inbox(connection);
    const seen: string[] = [];
    const stops = ["g1", "g2"].map((group) => inbox.subscribe("check", (notice) => notice.group === group && seen.push(`${group} ${textOf(notice)}`) > 0));
    await until(() => inboxes().isOpen(sessionOf("a")));
    tell("a", check("g2", "two"));
    tell("a", check("g1", "one"));
    await until(() => ends.one !== undefined);
    expect(seen).toEqual(["g2 two", "g1 one"]);
    stops[0]!();
    tell("a", check("g1", "late"));
    await until(() => ends.late === "declined");
    stops[1]!();
    await until(() => !inboxes().isOpen(sessionOf("a")));
    stops[1]!();
    expect(tell("a", check("g2", "later"))).toBe(false);
  });
});

describe("a client that does not answer", () => {
  test("dies with notices that it has not acknowledged: they go back, so that somebody else can be told", async () => {
    const dying = await origin.open("dying");
    await listener("other");
    expect(await poll(dying, 0)).toEqual([]);
    const back: NoticeEnd[] = [];
    inboxes().tell(sessionOf("dying"), check("g", "given"), (end) => {
      back.push(end);
      tell("other", reply("instead"));
    });
    expect(await poll(dying, 0)).toEqual([1]);
    tell("dying", check("g", "not given"));
    expect(back).toEqual([]);
    await dying.close();
    await until(() => ends.instead === "delivered");
    expect(back).toEqual(["gone"]);
    expect(ends["not given"]).toBe("gone");
  });

  test("control: where a session's end does not close its inbox, nobody hears of it", async () => {
    const dying = await origin.open("dying");
    vi.spyOn(inboxes(), "close").mockImplementation(() => {});
    await poll(dying, 0);
    const session = sessionOf("dying");
    tell("dying", check("g", "given"));
    await dying.close();
    await until(() => session.closed);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ends).toEqual({});
  });

  test("is frozen: its notices go back after a while; awake, it hears what is left", async () => {
    // A hundredth of the patience.
    const hasty: Timers = { after: (delay, run) => systemTimers.after(delay === 5000 ? 50 : delay, run) };
    origin.host = origin.newHost({ timers: hasty });
    const frozen = await origin.open("frozen");
    await poll(frozen, 0);
    tell("frozen", check("g", "1"));
    expect(await poll(frozen, 0)).toEqual([1]);
    await until(() => ends["1"] === "silent");
    tell("frozen", check("g", "2"));
    // It says now that it has taken the first: too late for whoever told it, and no fault.
    expect(await poll(frozen, 1)).toEqual([2]);
    expect(await poll(frozen, 2)).toEqual([]);
    expect(ends).toEqual({ 1: "silent", 2: "delivered" });
  });

  test("asks again without having heard the answer: it gets the same notices", async () => {
    const client = await origin.open("a");
    await poll(client, 0);
    tell("a", reply("1"));
    tell("a", reply("2"));
    expect(await poll(client, 0)).toEqual([1, 2]);
    expect(await poll(client, 0)).toEqual([1, 2]);
    expect(await poll(client, 1)).toEqual([2]);
    expect(ends).toEqual({ 1: "delivered" });
  });

  test("a newer poll takes the place of the one that waits, which is answered with nothing", async () => {
    const client = await origin.open("a");
    const older = client.callOnce("inbox", [{ after: 0, declined: [], wait: 15_000 }]);
    const newer = client.callOnce("inbox", [{ after: 0, declined: [], wait: 15_000 }]);
    expect(await older).toEqual({ notices: [] });
    tell("a", reply("x"));
    expect((await newer).notices).toHaveLength(1);
  });
});

describe("the broker dies", () => {
  /** Without a word: its ports are dead and its locks are free. */
  function kill(): void {
    const { incarnation } = origin.host.broker!;
    origin.silence();
    origin.host = origin.newHost();
    origin.locks.steal(writerLock("default")).release();
    origin.locks.steal(brokerLock("default", incarnation)).release();
  }

  test("the inbox is opened at the next one, and numbers begin anew", async () => {
    const { heard } = await listener("a");
    tell("a", reply("before"));
    await until(() => ends.before === "delivered");
    kill();
    await until(() => origin.host.broker !== null && sessionOf("a") !== undefined && inboxes().isOpen(sessionOf("a")));
    tell("a", reply("after"));
    await until(() => ends.after === "delivered");
    expect(heard).toEqual(["before", "after"]);
  });

  test("control: who has stopped listening opens none", async () => {
    const { stop, connection } = await listener("a");
    stop();
    kill();
    await until(() => connection.isOpen && origin.host.broker !== null && sessionOf("a") !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(inboxes().isOpen(sessionOf("a"))).toBe(false);
  });

  test("its end tells nobody: whoever told something has ended with it", async () => {
    const client = await origin.open("a");
    await poll(client, 0);
    tell("a", reply("x"));
    const waiting = poll(client, 0, { wait: 15_000 });
    origin.locks.steal(writerLock("default")).release();
    await waiting.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ends).toEqual({});
  });
});

describe("bounds", () => {
  test("an inbox holds so many notices and no more, until they are taken", async () => {
    const client = await origin.open("a");
    await poll(client, 0);
    for (let at = 1; at <= MAX_NOTICES; at++) expect(tell("a", reply(`${at}`))).toBe(true);
    expect(tell("a", reply("one too many"))).toBe(false);
    expect(await poll(client, 0)).toHaveLength(MAX_NOTICES);
    await poll(client, MAX_NOTICES);
    expect(tell("a", reply("room again"))).toBe(true);
  });

  test("its bytes are limited, and those of all inboxes together; one answer carries so much", async () => {
    const big = (): NoticeContent => ({ type: "reply", record: new Uint8Array(4 * 2 ** 20) });
    const perInbox = MAX_INBOX_BYTES / (4 * 2 ** 20);
    const clients = await Promise.all(Array.from({ length: MAX_NOTICE_BYTES / MAX_INBOX_BYTES + 1 }, (_, at) => origin.open(`c${at}`)));
    for (const client of clients) await poll(client, 0);
    const ignore = (): void => {};
    for (const [at] of clients.slice(0, -1).entries()) {
      for (let count = 0; count < perInbox; count++) expect(inboxes().tell(sessionOf(`c${at}`), big(), ignore)).toBe(true);
      expect(inboxes().tell(sessionOf(`c${at}`), big(), ignore)).toBe(false);
    }
    const last = `c${clients.length - 1}`;
    expect(inboxes().tell(sessionOf(last), big(), ignore)).toBe(false);
    expect(4 * 2 ** 20).toBeGreaterThan(FETCH_TARGET_BYTES);
    expect(await poll(clients[0]!, 0)).toEqual([1]);
    await clients[0]!.close();
    await until(() => sessionOf("c0") === undefined);
    expect(inboxes().tell(sessionOf(last), big(), ignore)).toBe(true);
  });

  test.each([
    ["acknowledges what it was never given", { after: 1, declined: [], wait: 0 }, "inbox.after"],
    ["a negative number", { after: -1, declined: [], wait: 0 }, "inbox.after"],
    ["no number", { after: "1", declined: [], wait: 0 }, "inbox.after"],
    ["too many that it declines", { after: 0, declined: Array.from({ length: MAX_NOTICES + 1 }, () => 0), wait: 0 }, "inbox.declined"],
    ["waits for ever", { after: 0, declined: [], wait: 2 ** 40 }, "inbox.wait"],
    ["an option that there is not", { after: 0, declined: [], wait: 0, x: 1 }, "inbox.x"],
    ["nothing at all", undefined, "inbox"],
  ])("refused: %s", async (_what, request, field) => {
    const client = await origin.open("a");
    await poll(client, 0);
    tell("a", reply("waits"));
    await expect(client.callOnce("inbox", [request as never])).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
    expect(ends).toEqual({});
    expect(await poll(client, 0)).toEqual([1]);
  });

  test("declining what was not given changes nothing", async () => {
    const client = await origin.open("a");
    await poll(client, 0);
    tell("a", reply("1"));
    expect(await poll(client, 0, { declined: [1, 7] })).toEqual([1]);
    await poll(client, 1, { declined: [7] });
    expect(ends).toEqual({ 1: "delivered" });
  });
});
