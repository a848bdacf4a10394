import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import type { Stored } from "../support/history.ts";
import * as checkers from "./checkers.ts";
import { givenAgain } from "./idempotence-checker.ts";
import type { At, Entry } from "./history.ts";
import { holes } from "./holes.ts";
import { identities } from "./identities.ts";
import { latecomers, PROMPT } from "./latecomers.ts";
import { losses } from "./losses.ts";
import { orderOfQueues } from "./order-checker.ts";
import { refusals } from "./refusals.ts";
import { retries } from "./retry-checkers.ts";
import { soundness } from "./soundness.ts";
import { starved } from "./starved.ts";
import { surrenders } from "./surrenders.ts";

/** A history made by hand: one entry a second. */
function history(...entries: Entry[]): At[] {
  return entries.map((entry, at) => ({ at: at * 1000, ...entry }));
}

function message(queueOffset: number, content = `a m${queueOffset}`): Stored {
  return { topic: "t", queueId: 0, queueOffset, msgId: `id ${content}`, content };
}

function stored(queueOffset: number, given: Partial<Extract<Entry, { type: "stored" }>> = {}): Entry {
  return { type: "stored", epoch: 1, position: queueOffset * 100, end: queueOffset * 100 + 100, record: message(queueOffset), tags: "a", ...given };
}

function sent(content: string, again = false): Entry {
  return { type: "sent", call: 1, tab: "tab1", producer: "p", topic: "t", number: 1, contents: [content], again };
}

function acked(...messages: [queueOffset: number, number: number][]): Entry {
  return { type: "acked", call: 1, messages: messages.map(([queueOffset, number]) => ({ ...message(queueOffset), producer: "p", number })) };
}

let deliveries = 0;
function delivered(consumer: string, queueOffset: number, given: Partial<Extract<Entry, { type: "delivered" }>> = {}): Extract<Entry, { type: "delivered" }> {
  return { type: "delivered", delivery: ++deliveries, consumer, group: "g", attempt: 1, message: message(queueOffset), ...given };
}

const consumed = ({ delivery }: { delivery: number }, isOk = true): Entry => ({ type: "consumed", delivery, isOk });
const joined = (consumer: string, kind: "push" | "pull" = "push"): Entry => ({ type: "joined", consumer, tab: `tab of ${consumer}`, group: "g", kind });
const fault = (kind: Extract<Entry, { type: "fault" }>["kind"], agent: string): Entry => ({ type: "fault", kind, agent });
const offset = (value: number, epoch = 1): Entry => ({ type: "offset stored", epoch, group: "g", topic: "t", queueId: 0, offset: value });
const rest = (readable: Stored[], rebuilt = readable, given: Partial<Extract<Entry, { type: "rest" }>> = {}): Entry => ({ type: "rest", isReached: true, readable, backlogs: {}, rebuilt, lookedAt: 0, damaged: [], ...given });
const kinds = (verdicts: checkers.Verdict[]): string[] => verdicts.map(({ kind }) => kind);

const lostTail: Entry = { type: "tail lost", position: 0, offsets: {}, begin: 0, begins: [] };
const groups = [{ group: "g", kind: "push" as const, subscriptions: { t: "a" } }];

describe("acknowledgements", () => {
  const check = checkers.acknowledgements;
  test("good: stored, then acknowledged, then there", () => {
    expect(check(history(stored(0), acked([0, 1]), rest([message(0)])))).toEqual([]);
  });
  test("bad: acknowledged before it is stored; lost; another one in its place; other bytes", () => {
    expect(kinds(check(history(acked([0, 1]), stored(0))))).toEqual(["acknowledged too early"]);
    expect(kinds(check(history(stored(0), acked([0, 1]), rest([]))))).toEqual(["lost"]);
    expect(kinds(check(history(stored(0, { record: { ...message(0), msgId: "other" } }), acked([0, 1]))))).toEqual(["changed"]);
    expect(kinds(check(history(stored(0, { record: { ...message(0), content: "b m0" } }), acked([0, 1]))))).toEqual(["changed"]);
  });
});

describe("storage", () => {
  const check = checkers.storage;
  test("good: positions and offsets rise, a new epoch writes on", () => {
    expect(check(history({ type: "epoch", epoch: 1 }, stored(0), { type: "epoch", epoch: 2 }, stored(1, { epoch: 2 }), offset(1, 2)))).toEqual([]);
  });
  test("bad: a position twice, an offset twice, a host that was replaced", () => {
    const epoch: Entry = { type: "epoch", epoch: 1 };
    expect(kinds(check(history(epoch, stored(0), stored(1, { position: 50 }))))).toEqual(["position reused"]);
    expect(kinds(check(history(epoch, stored(0), stored(0, { position: 100, end: 200 }))))).toEqual(["offset reused"]);
    expect(kinds(check(history(epoch, { type: "epoch", epoch: 2 }, stored(0), offset(1))))).toEqual(["stale writer", "stale writer"]);
  });
});

describe("storedTwice", () => {
  const check = checkers.storedTwice;
  const again = stored(1, { record: { ...message(1), ...message(0), queueOffset: 1 } });
  test("good: sent again and found; what was sent before is gone, or cannot be read", () => {
    expect(check(history(sent("a m0"), stored(0), fault("host killed", "w"), sent("a m0", true)))).toEqual([]);
    expect(check(history(sent("a m0"), stored(0), { type: "damaged", places: [] }, again))).toEqual([]);
    expect(check(history(sent("a m0"), stored(0), { type: "removed", epoch: 1, position: 1_000_000, begins: [] }, again))).toEqual([]);
  });
  test("bad: whatever has happened to the hosts; with another msgId; never sent", () => {
    expect(kinds(check(history(sent("a m0"), stored(0), again)))).toEqual(["stored twice"]);
    expect(kinds(check(history(sent("a m0"), stored(0), fault("host killed", "w"), sent("a m0", true), again)))).toEqual(["stored twice"]);
    const renamed = stored(1, { record: { ...message(1), content: "a m0", msgId: "other" } });
    expect(kinds(check(history(sent("a m0"), stored(0), fault("host killed", "w"), renamed)))).toEqual(["changed"]);
    expect(kinds(check(history(stored(0))))).toEqual(["phantom"]);
  });
});

describe("sendOrder", () => {
  test("good: later sent, higher offset", () => {
    expect(checkers.sendOrder(history(acked([3, 1]), acked([5, 2])))).toEqual([]);
  });
  test("bad: overtaken", () => {
    expect(kinds(checkers.sendOrder(history(acked([5, 1]), acked([3, 2]))))).toEqual(["reordered"]);
  });
});

describe("deliveries", () => {
  test("good: stored, then seen", () => {
    expect(checkers.deliveries(history(stored(0), delivered("c", 0)))).toEqual([]);
  });
  test("bad: seen before it is stored; not what is stored", () => {
    expect(kinds(checkers.deliveries(history(delivered("c", 0), stored(0))))).toEqual(["phantom"]);
    expect(kinds(checkers.deliveries(history(stored(0), delivered("c", 0, { message: message(0, "a other") }))))).toEqual(["phantom"]);
  });
});

describe("deliveryOrder", () => {
  const check = checkers.deliveryOrder;
  test("good: rising; again after a failure; again after the queue was away", () => {
    const away: Entry = { type: "rebalanced", consumer: "c", assigned: ["t:0"], revoked: [] };
    expect(check(history(delivered("c", 0), delivered("c", 2), delivered("c", 0, { attempt: 2 }), away, delivered("c", 1)))).toEqual([]);
  });
  test("bad: back without a cause", () => {
    expect(kinds(check(history(delivered("c", 2), delivered("c", 1))))).toEqual(["reordered"]);
    expect(check(history(delivered("c", 2), delivered("c", 1)), { groups: [{ ...groups[0]!, idempotent: true }] })).toEqual([]);
  });
});

describe("duplicates", () => {
  const check = checkers.duplicates;
  const [one, two] = [delivered("c", 0), delivered("d", 0)];
  const both = [joined("c"), joined("d")];
  test("good: it failed; its tab or the host died; an earlier one held the offset; its consumer left in the middle; a pull consumer lost the queue", () => {
    expect(check(history(...both, one, consumed(one, false), two))).toEqual([]);
    expect(check(history(...both, one, fault("tab crashed", "tab of c"), two))).toEqual([]);
    expect(check(history(...both, one, consumed(one), fault("host killed", "w"), two))).toEqual([]);
    const later = delivered("c", 1);
    expect(check(history(...both, one, later, consumed(later), consumed(one, false), { type: "rebalanced", consumer: "c", assigned: [], revoked: ["t:0"] }, delivered("d", 1)))).toEqual([]);
    expect(check(history(...both, one, { type: "left", consumer: "c" }, consumed(one), two))).toEqual([]);
    expect(check(history(...both, one, { type: "rebalanced", consumer: "c", assigned: [], revoked: ["t:0"] }, { type: "left", consumer: "c" }, two))).toEqual([]);
    expect(check(history(joined("c", "pull"), joined("d"), one, { type: "rebalanced", consumer: "c", assigned: [], revoked: ["t:0"] }, consumed(one), two))).toEqual([]);
  });
  test("bad: for no reason; while the first still works at it; because of a fault elsewhere; after its offset was stored", () => {
    expect(kinds(check(history(...both, one, consumed(one), two)))).toEqual(["duplicate without cause"]);
    expect(kinds(check(history(...both, one, two)))).toEqual(["duplicate without cause"]);
    expect(kinds(check(history(...both, one, { type: "rebalanced", consumer: "c", assigned: [], revoked: ["t:0"] }, two)))).toEqual(["duplicate without cause"]);
    expect(kinds(check(history(...both, one, consumed(one), fault("tab crashed", "tab of x"), two)))).toEqual(["duplicate without cause"]);
    const calm = Array.from({ length: 20 }, () => fault("clock jumped", "w"));
    const late = history(...both, one, consumed(one, false), offset(1), ...calm, two);
    expect(kinds(check(late))).toEqual(["duplicate without cause"]);
  });
});

describe("owners", () => {
  const check = checkers.owners;
  const both = [joined("c"), joined("d")];
  test("good: one after the other; or the first is frozen", () => {
    const one = delivered("c", 0);
    expect(check(history(...both, one, consumed(one), delivered("d", 1)))).toEqual([]);
    expect(check(history(...both, one, fault("tab frozen", "tab of c"), delivered("d", 1)))).toEqual([]);
  });
  test("bad: two at once", () => {
    expect(kinds(check(history(...both, delivered("c", 0), delivered("d", 1))))).toEqual(["double owner"]);
  });
});

describe("storedOffsets", () => {
  const check = checkers.storedOffsets;
  test("good: rising, up to the end", () => {
    expect(check(history(stored(0), stored(1), offset(1), offset(2)))).toEqual([]);
  });
  test("bad: back; beyond the end", () => {
    expect(kinds(check(history(stored(0), stored(1), offset(2), offset(1))))).toEqual(["offset went back"]);
    expect(kinds(check(history(stored(0), offset(2))))).toEqual(["offset beyond the end"]);
  });
});

describe("storedOffsets, after damage", () => {
  const damaged = (...places: string[]): Entry => ({ type: "damaged", places });
  test("good: back to before what cannot be read", () => {
    expect(checkers.storedOffsets(history(stored(0), stored(1), offset(2), damaged("t:0:1"), offset(1)))).toEqual([]);
  });
  test("good: a start after it leaves offsets out; bad: without a start, or without damage", () => {
    const goesOn: Entry = { type: "epoch", epoch: 2 };
    expect(checkers.storedOffsets(history(stored(0), stored(1), damaged("t:0:1"), goesOn, offset(4)))).toEqual([]);
    expect(kinds(checkers.storedOffsets(history(stored(0), stored(1), damaged("t:0:1"), offset(4))))).toEqual(["offset beyond the end"]);
    expect(kinds(checkers.storedOffsets(history(stored(0), stored(1), goesOn, offset(4))))).toEqual(["offset beyond the end"]);
  });
  test("bad: back to before what can be read", () => {
    expect(kinds(checkers.storedOffsets(history(stored(0), stored(1), offset(2), damaged("t:0:1"), offset(0))))).toEqual(["offset went back"]);
  });
});

describe("losses", () => {
  const cut = (position: number): Entry => ({ type: "tail lost", position, offsets: {}, begin: 0, begins: [] });
  const noted: Entry = { type: "loss noted" };
  const damaged: Entry = { type: "damaged", places: ["t:0:1"] };
  const goesOn = stored(9);
  test("good: what was cut off is noted before anything is written; damage is told, then or in the end", () => {
    expect(losses(history(stored(0), stored(1), cut(100), noted, goesOn))).toEqual([]);
    expect(losses(history(stored(0), stored(1), damaged, { type: "damage told", position: 100, bytes: 100 }, rest([message(0)])))).toEqual([]);
    expect(losses(history(stored(0), stored(1), damaged, rest([message(0)], undefined, { damaged: [{ position: 0, bytes: 200 }] })))).toEqual([]);
  });
  test("good: of a long record, that one of its rows is damaged, or gone; bad: what lies next to it", () => {
    const told = (position: number, bytes: number): string[] => kinds(losses(history(stored(0), stored(1), damaged, { type: "damage told", position, bytes }, rest([message(0)]))));
    expect([told(150, 20), told(150, 0)]).toEqual([[], []]);
    expect([told(200, 100), told(0, 100), told(200, 0)]).toEqual([["unreported damage"], ["unreported damage"], ["unreported damage"]]);
  });
  test("bad: a loss that there was not, or for the second time", () => {
    expect(kinds(losses(history(stored(0), noted, goesOn)))).toEqual(["loss made up"]);
    expect(kinds(losses(history(stored(0), stored(1), cut(100), noted, noted, goesOn)))).toEqual(["loss made up"]);
  });
  test("bad: the log goes on without a word; what cannot be read is nowhere named", () => {
    expect(kinds(losses(history(stored(0), stored(1), cut(100), goesOn)))).toEqual(["unreported loss"]);
    expect(kinds(losses(history(stored(0), stored(1), damaged, rest([message(0)], undefined, { damaged: [{ position: 0, bytes: 100 }] }))))).toEqual(["unreported damage"]);
  });
  test("what the browser took is neither lost by the broker nor owed to anybody; the rest is", () => {
    const taken = [stored(0), acked([0, 1]), stored(1), acked([1, 2]), cut(100), noted];
    expect(checkers.acknowledgements(history(...taken, rest([message(0)])))).toEqual([]);
    expect(kinds(checkers.acknowledgements(history(...taken, rest([]))))).toEqual(["lost"]);
    expect(checkers.undelivered(history(...taken, rest([message(0)])), { groups }).map(({ text }) => text.includes("t:0:0"))).toEqual([true]);
  });
});

describe("starved", () => {
  const joinedEarly = [joined("c1"), joined("c2")];
  const quiet = Array.from({ length: 10 }, (): Entry => ({ type: "loss noted" }));
  const freeze = (seconds: number): Entry => ({ type: "fault", kind: "tab frozen", agent: "tab of c1", until: (12 + seconds) * 1000 });
  const plan = { groups, duration: 1e9, work: 0 };
  test("good: the other one gets it; the sleep is too short; something else is wrong too; nobody else is there; listeners are slow", () => {
    expect(starved(history(...joinedEarly, ...quiet, freeze(90), stored(0), delivered("c2", 0)), plan)).toEqual([]);
    expect(starved(history(...joinedEarly, ...quiet, freeze(40), stored(0)), plan)).toEqual([]);
    expect(starved(history(...joinedEarly, ...quiet, freeze(90), stored(0), fault("tab crashed", "tab of c2")), plan)).toEqual([]);
    expect(starved(history(joined("c1"), ...quiet, freeze(90), stored(0)), plan)).toEqual([]);
    expect(starved(history(...joinedEarly, ...quiet, freeze(90), stored(0)), { ...plan, work: 1500 })).toEqual([]);
  });
  test("bad: nobody gets it, or only when the sleeper has woken up", () => {
    expect(kinds(starved(history(...joinedEarly, ...quiet, freeze(90), stored(0)), plan))).toEqual(["starved"]);
    const late = { ...delivered("c1", 0), at: 200_000 };
    expect(kinds(starved([...history(...joinedEarly, ...quiet, freeze(90), stored(0)), late], plan))).toEqual(["starved"]);
  });
});

describe("calls", () => {
  const call: Entry = { type: "call", call: 1, tab: "tab1", what: "send", limit: 1500 };
  const settled = (frozen: number): Entry => ({ type: "settled", call: 1, frozen });
  const pause = fault("clock jumped", "w");
  test("good: in time; late because it was frozen; dead", () => {
    expect(checkers.calls(history(call, settled(0)))).toEqual([]);
    expect(checkers.calls(history(call, pause, pause, settled(2000)))).toEqual([]);
    expect(checkers.calls(history(call, fault("tab crashed", "tab1")))).toEqual([]);
  });
  test("bad: late; never", () => {
    expect(kinds(checkers.calls(history(call, pause, settled(0))))).toEqual(["hung call"]);
    expect(kinds(checkers.calls(history(call)))).toEqual(["hung call"]);
  });
});

describe("restedWorld", () => {
  const check = checkers.restedWorld;
  test("good: nothing left to do, and what is shown is what is there", () => {
    expect(check(history(rest([message(0)])))).toEqual([]);
  });
  test("bad: restless; a backlog; a record no reader finds; one that is not in the log", () => {
    expect(kinds(check(history(rest([], [], { isReached: false }))))).toEqual(["not at rest"]);
    expect(kinds(check(history(rest([], [], { backlogs: { g: 1 } }))))).toEqual(["not at rest"]);
    expect(kinds(check(history(rest([], [message(0)]))))).toEqual(["index differs from log"]);
    expect(kinds(check(history(rest([message(0)], []))))).toEqual(["index differs from log"]);
  });
});

describe("undelivered", () => {
  const one = delivered("c", 0);
  test("good: consumed; or filtered out", () => {
    expect(checkers.undelivered(history(stored(0), stored(1, { tags: "b" }), one, consumed(one), rest([])), { groups })).toEqual([]);
  });
  test("bad: never given; given, and it failed", () => {
    expect(kinds(checkers.undelivered(history(stored(0), rest([])), { groups }))).toEqual(["undelivered"]);
    expect(kinds(checkers.undelivered(history(stored(0), one, consumed(one, false), rest([])), { groups }))).toEqual(["undelivered"]);
  });
});

describe("retries", () => {
  const at = (topic: string, queueId: number, queueOffset: number): Stored => ({ ...message(queueOffset), topic, queueId });
  const record = (place: Stored, storeTimestamp: number, finishes?: string): Entry => ({ ...stored(0), record: place, storeTimestamp, ...(finishes === undefined ? {} : { finishes }) }) as Entry;
  const waits = record(at("SCHEDULE_TOPIC_XXXX", 2, 0), 1000, "g t:0:0");
  const comes = (storeTimestamp: number): Entry => record(at("%RETRY%g", 0, 0), storeTimestamp, "CID_RMQ_SYS_SCHEDULE SCHEDULE_TOPIC_XXXX:2:0");

  test("good: it fails, waits three seconds, and is consumed", () => {
    const again = delivered("c", 0, { message: at("%RETRY%g", 0, 0), attempt: 2 });
    const whole = history(stored(0), joined("c"), delivered("c", 0), waits, comes(4000), again, consumed(again));
    expect(retries(whole)).toEqual([]);
    expect(checkers.undelivered([...whole, ...history(rest([]))], { groups })).toEqual([]);
    expect(kinds(checkers.undelivered([...whole.slice(0, -1), ...history(rest([]))], { groups }))).toEqual(["undelivered"]);
  });

  test("bad: too early, twice, and once more from where it was", () => {
    expect(kinds(retries(history(stored(0), waits, comes(3999))))).toEqual(["delivered early"]);
    expect(kinds(retries(history(stored(0), waits, waits)))).toEqual(["moved twice"]);
    expect(kinds(retries(history(stored(0), waits, delivered("c", 0))))).toEqual(["delivered although finished"]);
  });

  test("between two brokers the true time counts, and how far the clock was put ahead", () => {
    const next = (by: number): Entry[] => [stored(0), { ...waits, storeTimestamp: 3_600_000 } as Entry, { ...fault("clock jumped", "w"), by } as Entry, { ...comes(5000), epoch: 2 } as Entry];
    expect(kinds(retries(history(...next(999))))).toEqual(["delivered early"]);
    expect(kinds(retries(history(...next(-5000))))).toEqual(["delivered early"]);
    expect(retries(history(...next(1000)))).toEqual([]);
    // One and the same broker knows that its clock was set back.
    expect(kinds(retries(history(...next(1000).slice(0, -1), comes(5000))))).toEqual(["delivered early"]);
  });

  test("a copy that the browser takes away finishes nothing any more; what it has left does", () => {
    const cut = (position: number): Entry => ({ type: "tail lost", position, offsets: {}, begin: 0, begins: [] });
    const copy = (position: number): Entry => ({ ...waits, position, end: position + 100 }) as Entry;
    expect(retries(history(stored(0), copy(100), cut(100), { type: "loss noted" }, copy(500)))).toEqual([]);
    expect(retries(history(stored(0), copy(100), cut(100), { type: "loss noted" }, delivered("c", 0)))).toEqual([]);
    expect(kinds(retries(history(stored(0), copy(100), cut(200), { type: "loss noted" }, copy(500))))).toEqual(["moved twice"]);
    expect(kinds(retries(history(stored(0), copy(100), cut(200), { type: "loss noted" }, delivered("c", 0))))).toEqual(["delivered although finished"]);
  });

  test("a fault excuses who held the queue all along, and not who got it from the next host", () => {
    const killed: Entry[] = [fault("host killed", "w"), { type: "epoch", epoch: 2 }];
    expect(retries(history(stored(0), waits, ...killed, delivered("c", 0)))).toEqual([]);
    expect(retries(history(stored(0), waits, lostTail, waits))).toEqual([]);
    const got: Entry = { type: "rebalanced", consumer: "c", assigned: ["t:0"], revoked: [] };
    expect(kinds(retries(history(stored(0), waits, ...killed, got, delivered("c", 0))))).toEqual(["delivered although finished"]);
  });

  test("what has become a dead letter is over; whether it had to is another question", () => {
    const dead = history(stored(0), record(at("%DLQ%g", 0, 0), 0, "g t:0:0"), rest([]));
    expect(checkers.undelivered(dead, { groups })).toEqual([]);
    expect(kinds(surrenders(dead, { groups, maxReconsumeTimes: 3 }))).toEqual(["given up without a failure"]);
  });
});

describe("orderOfQueues", () => {
  const orderly = { groups: groups.map((group) => ({ ...group, orderly: true })) };
  const check = (...entries: Entry[]): string[] => kinds(orderOfQueues(history(stored(0), stored(1), stored(2), ...entries), orderly));
  test("good: one after the other, again after a failure, in a batch, behind a copy; a group that is not orderly", () => {
    const [first, again, second] = [delivered("c1", 0), delivered("c2", 0), delivered("c2", 1)];
    expect(check(first, consumed(first, false), again, consumed(again), second)).toEqual([]);
    expect(check(first, { ...second, batch: first.delivery })).toEqual([]);
    expect(check(stored(0, { record: { ...message(0), topic: "%DLQ%g" }, finishes: "g t:0:0" }), delivered("c1", 1))).toEqual([]);
    expect(check({ type: "removed", epoch: 1, position: 100, begins: [] }, delivered("c1", 1))).toEqual([]);
    expect(orderOfQueues(history(stored(0), stored(1), delivered("c1", 1)), { groups })).toEqual([]);
    expect(check(lostTail, delivered("c1", 1))).toEqual([]);
  });
  test("good: what the browser has lost, or cannot read, holds nobody; bad: what is left does", () => {
    const cut = (position: number): Entry => ({ type: "tail lost", position, offsets: {}, begin: 0, begins: [] });
    expect(check(cut(0), stored(7, { position: 900 }), delivered("c1", 7))).toEqual([]);
    expect(check({ type: "damaged", places: ["t:0:0"] }, delivered("c1", 1))).toEqual([]);
    expect(check(cut(100), stored(7, { position: 900 }), delivered("c1", 7))).toEqual(["out of order"]);
    expect(check({ type: "damaged", places: ["t:0:0"] }, delivered("c1", 2))).toEqual(["out of order"]);
  });
  test("bad: the one before was never given, has failed, is in hand, or another group's copy stands for it", () => {
    const first = delivered("c1", 0);
    expect(check(delivered("c1", 1))).toEqual(["out of order"]);
    expect(check(first, consumed(first, false), delivered("c1", 1))).toEqual(["out of order"]);
    expect(check(first, delivered("c1", 1))).toEqual(["out of order"]);
    expect(check(stored(0, { record: { ...message(0), topic: "%DLQ%o" }, finishes: "o t:0:0" }), delivered("c1", 1))).toEqual(["out of order"]);
  });
});

describe("givenAgain", () => {
  const check = (...entries: Entry[]): string[] => kinds(givenAgain(history(...entries), { groups: [{ ...groups[0]!, idempotent: true }] }));
  const key: Entry = { type: "key stored", epoch: 1, group: "g", key: message(0).msgId };
  test("good: before it is stored; another message; a group that is not idempotent; a host that died without saying so", () => {
    expect(check(delivered("a", 0), delivered("b", 0), key)).toEqual([]);
    expect(check(key, delivered("a", 1))).toEqual([]);
    expect(givenAgain(history(key, delivered("a", 0)), { groups })).toEqual([]);
    expect(check(key, fault("host killed", "w"), delivered("a", 0))).toEqual([]);
    expect(check(key, lostTail, delivered("a", 0))).toEqual([]);
  });
  test("bad: after it is stored, in another place; and by one who has the queue from the next host", () => {
    expect(check(key, delivered("a", 3, { message: { ...message(3), msgId: message(0).msgId } }))).toEqual(["given again"]);
    const next: Entry[] = [fault("host killed", "w"), { type: "epoch", epoch: 2 }, { type: "rebalanced", consumer: "a", assigned: ["t:0"], revoked: [] }];
    expect(check(key, ...next, delivered("a", 0))).toEqual(["given again"]);
  });
});

describe("behindBegins", () => {
  const told = (begin: number, tab = "tab1"): Entry => ({ type: "begins told", tab, begins: [["t:0", begin]] });
  const moved = (from: number, to: number): Entry => ({ type: "moved", consumer: "c1", group: "g", queue: "t:0", from, to });
  const assigned = (consumer = "c1"): Entry => ({ type: "rebalanced", consumer, assigned: ["t:0"], revoked: [] });
  const lost: Entry = { type: "tail lost", position: 0, offsets: {}, begin: 0, begins: [] };
  const check = (...entries: Entry[]): string[] => kinds(checkers.behindBegins(history(...entries)));
  test("good: begins rise; what a consumer had from before; what was lost with the cut; a host that does not know yet", () => {
    expect(check(told(0), told(5), told(5), assigned(), delivered("c1", 5))).toEqual([]);
    expect(check(assigned(), told(5), delivered("c1", 1))).toEqual([]);
    expect(check(assigned(), moved(2, 5), delivered("c1", 1), delivered("c1", 5))).toEqual([]);
    expect(check(told(5), lost, told(0), assigned(), delivered("c1", 0))).toEqual([]);
    expect(check(moved(0, 5), lost, delivered("c1", 0))).toEqual([]);
    expect(check(told(5), fault("host paused", "worker1"), assigned(), delivered("c1", 1))).toEqual([]);
    expect(check(told(5, "tab1"), told(4, "tab2"))).toEqual([]);
  });
  test("bad: a begin goes back; a message from before it, to whoever was moved, or came later", () => {
    expect(check(told(5), told(4))).toEqual(["begin went back"]);
    expect(check(assigned(), moved(0, 5), delivered("c1", 4))).toEqual(["delivered although gone"]);
    expect(check(told(5), assigned(), delivered("c1", 4))).toEqual(["delivered although gone"]);
    expect(check(assigned(), moved(0, 5), assigned("c2"), delivered("c2", 4))).toEqual(["delivered although gone"]);
  });
});

describe("removals", () => {
  const cut = (position: number, begin: number): Entry => ({ type: "removed", epoch: 1, position, begins: [["t:0", begin]] });
  const epoch: Entry = { type: "epoch", epoch: 1 };
  const lost = (begin: number): Entry => ({ type: "tail lost", position: 1000, offsets: {}, begin, begins: begin === 0 ? [] : [["t:0", 1]] });
  const check = (...entries: Entry[]): string[] => kinds(checkers.removals(history(epoch, ...entries)));
  test("good: cuts go on, also from where a loss has left them", () => {
    expect(check(stored(0), stored(1), stored(2), cut(100, 1), cut(200, 2))).toEqual([]);
    expect(check(stored(0), stored(1), stored(2), cut(200, 2), lost(0), cut(100, 1))).toEqual([]);
  });
  test("bad: a cut goes back, or moves a queue behind what is left", () => {
    expect(check(stored(0), stored(1), stored(2), cut(200, 2), cut(100, 1))).toEqual(["begin went back", "begin went back"]);
    expect(check(stored(0), stored(1), stored(2), cut(200, 2), lost(100), cut(0, 0))).toEqual(["begin went back", "begin went back"]);
    expect(check(stored(0), stored(1), stored(2), cut(100, 2))).toEqual(["removed too much"]);
  });
});

describe("refusals", () => {
  const settled = (outcome?: string, call = 1): Entry => ({ type: "settled", call, frozen: 0, ...(outcome !== undefined && { outcome }) });
  const again = { ...sent("a m0", true), call: 2 } as Entry;
  test("good: rejected and nowhere; unknown, and there; rejected only when it was sent again; an end that nobody heard", () => {
    expect(refusals(history(sent("a m1"), stored(0), settled("rejected")))).toEqual([]);
    expect(refusals(history(sent("a m0"), stored(0), settled("unknown")))).toEqual([]);
    expect(refusals(history(sent("a m0"), stored(0), settled("unknown"), again, settled("rejected", 2)))).toEqual([]);
    expect(refusals(history(sent("a m0"), stored(0)))).toEqual([]);
  });
  test("bad: stored before its rejection, or after", () => {
    expect(kinds(refusals(history(sent("a m0"), stored(0), settled("rejected"))))).toEqual(["rejected and stored"]);
    expect(kinds(refusals(history(sent("a m0"), settled("rejected"), stored(0))))).toEqual(["rejected and stored"]);
  });
});

describe("identities", () => {
  test("good: the same message twice", () => {
    expect(identities(history(stored(0), stored(1, { record: { ...message(0), queueOffset: 1 } }), stored(2)))).toEqual([]);
  });
  test("bad: two messages under one name", () => {
    expect(kinds(identities(history(stored(0), stored(1, { record: { ...message(1), msgId: message(0).msgId } }))))).toEqual(["msgId used twice"]);
  });
});

describe("holes", () => {
  const cut: Entry = { type: "tail lost", position: 0, offsets: {}, begin: 0, begins: [] };
  const goesOn: Entry = { type: "epoch", epoch: 2 };
  test("good: one after the other; left out after a loss, by a start that finds damage, or because the store was full", () => {
    expect(holes(history(stored(0), fault("quota used up", "w"), stored(2)))).toEqual([]);
    expect(holes(history(stored(0), stored(1), goesOn, stored(2)))).toEqual([]);
    expect(holes(history(stored(0), cut, stored(5), stored(6)))).toEqual([]);
    expect(holes(history(stored(0), { type: "damaged", places: ["t:0:0"] }, goesOn, stored(5)))).toEqual([]);
  });
  test("bad: left out; where a queue begins, after a death, and again after a loss", () => {
    expect(kinds(holes(history(stored(0), stored(5))))).toEqual(["offset left out"]);
    expect(kinds(holes(history(stored(1))))).toEqual(["offset left out"]);
    expect(kinds(holes(history(stored(0), fault("quota used up", "w"), stored(1), stored(3))))).toEqual(["offset left out"]);
    expect(kinds(holes(history(stored(0), goesOn, stored(2))))).toEqual(["offset left out"]);
    expect(kinds(holes(history(stored(0), cut, stored(5), stored(7))))).toEqual(["offset left out"]);
    expect(kinds(holes(history(stored(0), { type: "damaged", places: [] }, stored(2))))).toEqual(["offset left out"]);
  });
});

describe("surrenders", () => {
  const place = (topic: string, queueOffset = 0): Stored => ({ ...message(queueOffset), topic });
  const moved = (topic: string, finishes: string, queueOffset = 0): Entry => stored(9, { record: place(topic, queueOffset), finishes });
  const check = (maxReconsumeTimes: number, ...entries: Entry[]): string[] => kinds(surrenders(history(...entries), { groups, maxReconsumeTimes }));
  const orderly = (maxReconsumeTimes: number, ...entries: Entry[]): string[] => kinds(surrenders(history(...entries), { groups: [{ ...groups[0]!, orderly: true }], maxReconsumeTimes }));
  const tried = (isOk: boolean, of = message(0)): Entry[] => {
    const one = delivered("c", 0, { message: of });
    return [one, consumed(one, isOk)];
  };
  const SCHEDULE = "SCHEDULE_TOPIC_XXXX";
  /** It fails, waits, and stands in the retry topic. */
  const once = [...tried(false), moved(SCHEDULE, "g t:0:0"), moved("%RETRY%g", `CID_RMQ_SYS_SCHEDULE ${SCHEDULE}:0:0`)];
  const again = tried(false, place("%RETRY%g"));

  test("good: a copy after a failure, a dead letter after as many as it takes; in place, for an orderly group", () => {
    expect(check(1, ...once, ...again, moved("%DLQ%g", "g %RETRY%g:0:0"))).toEqual([]);
    expect(check(0, ...tried(false), moved("%DLQ%g", "g t:0:0"))).toEqual([]);
    expect(orderly(1, ...tried(false), ...tried(false), moved("%DLQ%g", "g t:0:0"))).toEqual([]);
    expect(check(3, ...tried(true), ...tried(false), moved(SCHEDULE, "g t:0:0"))).toEqual([]);
    expect(check(3, ...tried(false), fault("tab frozen", "tab of c"), ...tried(true), moved(SCHEDULE, "g t:0:0"))).toEqual([]);
  });
  test("bad: never given and a dead letter at once; given up by a group that has another's failure", () => {
    expect(check(0, stored(0), moved("%DLQ%g", "g t:0:0"))).toEqual(["given up without a failure"]);
    expect(check(3, delivered("c", 0), moved(SCHEDULE, "g t:0:0"))).toEqual(["given up without a failure"]);
    expect(check(0, ...tried(false), moved("%DLQ%h", "h t:0:0"))).toEqual(["given up without a failure"]);
  });
  test("bad: consumed, and then a dead letter or tried again; a fault does not excuse what never failed", () => {
    expect(check(0, ...tried(true), moved("%DLQ%g", "g t:0:0"))).toEqual(["given up without a failure"]);
    expect(check(3, fault("host killed", "w"), ...tried(true), moved(SCHEDULE, "g t:0:0"))).toEqual(["given up without a failure"]);
    expect(check(0, ...tried(false), ...tried(true), moved("%DLQ%g", "g t:0:0"))).toEqual(["given up although consumed"]);
  });
  test("bad: a dead letter too early, another try too late", () => {
    expect(check(1, ...tried(false), moved("%DLQ%g", "g t:0:0"))).toEqual(["given up too early"]);
    expect(check(2, ...once, ...again, moved("%DLQ%g", "g %RETRY%g:0:0"))).toEqual(["given up too early"]);
    expect(orderly(1, ...tried(false), moved("%DLQ%g", "g t:0:0"))).toEqual(["given up too early"]);
    expect(check(1, ...once, ...again, moved(SCHEDULE, "g %RETRY%g:0:0", 1))).toEqual(["given up too late"]);
  });
});

describe("latecomers", () => {
  const calm = { groups, duration: 1e9, work: 0, listenerFails: 0, builds: 1 };
  const [begin, soon, late] = [20_000, 20_000 + PROMPT, 20_001 + PROMPT];
  const world = (given: number, ...more: At[]): At[] => [{ at: 0, ...joined("c") }, { at: begin, ...stored(0) }, { at: given, ...delivered("c", 0) }, ...more];
  test("good: soon; late while the world is disturbed, over, or slow; nobody had been there, or stayed", () => {
    expect(latecomers(world(soon), calm)).toEqual([]);
    expect(latecomers(world(late, { at: begin + 1, ...fault("tab hidden", "tab9") }), calm)).toEqual([]);
    expect(latecomers(world(late), { ...calm, duration: begin })).toEqual([]);
    expect(latecomers(world(late), { ...calm, work: 100 })).toEqual([]);
    expect(latecomers(world(late), { ...calm, builds: 2 })).toEqual([]);
    expect(latecomers(world(late).slice(1), calm)).toEqual([]);
    expect(latecomers(world(late, { at: late, type: "left", consumer: "c" }), calm)).toEqual([]);
    const holds = { ...calm, listenerFails: 0.1, groups: [{ ...groups[0]!, orderly: true }] };
    expect(latecomers(world(late), holds)).toEqual([]);
  });
  test("bad: late, or never, and nothing was wrong", () => {
    expect(kinds(latecomers(world(late), calm))).toEqual(["late"]);
    expect(kinds(latecomers(world(late).slice(0, 2), calm))).toEqual(["late"]);
  });
});

describe("soundness", () => {
  const broken = new MemoryDisk();
  broken.index.set("0/0", new Uint8Array(64));
  test("good: a store that agrees with itself; one of which the browser took or damaged something", () => {
    expect(soundness(history(stored(0)), new MemoryDisk())).toEqual([]);
    expect(soundness(history({ type: "damaged", places: [] }), broken)).toEqual([]);
    expect(soundness(history(lostTail), broken)).toEqual([]);
  });
  test("bad: a row of the index that nobody can have written", () => {
    expect(soundness(history(stored(0)), broken)).toEqual([{ kind: "unsound store", text: "INDEX_DAMAGED index 0/0" }]);
  });
});
