import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import { Chronicle, type Touch } from "../support/chronicle.ts";
import { Crew, type CrewOptions, GROUPS, QUEUES } from "../support/crew.ts";
import { freeze, listenToPorts, refused } from "../support/frozen.ts";
import { lost } from "../support/history.ts";
import { bundle, House, type Tab, until } from "../support/house.ts";

const ROUNDS = process.env.TABMQ_LONG ? 6 : 1;
/** Of the redelivery, ms: held to in the long form, by the median. */
const BAR = 1000;

let house: House;
let chronicle: Chronicle;
/** Answers whoever waits for it: a listener that hangs until a frozen page thaws. */
let answerHold = (): void => {};
const worker = async (name: string): Promise<[string, string]> => [`/${name}.js`, await bundle(join(import.meta.dirname, `../fault/workers/${name}.ts`))];

beforeAll(async () => {
  const workers = await Promise.all(["no-watch", "hands-over-at-once", "commits-what-it-gives", ...(process.env.TABMQ_LONG ? ["takes-late-settles"] : [])].map(worker));
  house = await House.open({
    pages: Object.fromEntries(workers),
    posts: { "/touch": (touch) => chronicle.hear(touch as Touch), "/hold": () => new Promise<void>((resolve) => (answerHold = resolve)) },
  });
});
beforeEach(() => void (chronicle = new Chronicle()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const without = (name: string): CrewOptions => ({ connect: { worker: `/${name}.js` } });
const verdicts = (): string[] => [...GROUPS.flatMap((group) => chronicle.verdicts(group)), ...chronicle.disorder("orderly")];
/** Listeners that a life has called, for a group, since so many touches. */
const begun = (life: string, group: string, since: number): Touch[] => chronicle.touches.slice(since).filter((touch) => touch.life === life && touch.group === group && !touch.isOver);

interface Manner {
  name: string;
  end: (tab: Tab) => Promise<unknown>;
  /** The page comes back by itself. */
  isSamePage?: boolean;
}

/** Under load, one tab after the other ends with messages in hand and comes back. */
async function deaths(crew: Crew, manners: Manner[]): Promise<void> {
  const took = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS * manners.length; round++) {
    const { name, end, isSamePage } = manners[round % manners.length]!;
    const seat = round % crew.seats.length;
    const death = await crew.lose(seat, end);
    await crew.inherited(death);
    for (const group of GROUPS) took.set(`${name}, ${group}`, [...(took.get(`${name}, ${group}`) ?? []), chronicle.redelivery(death, group).first]);
    await crew.hire(seat, isSamePage ? crew.seats[seat] : undefined);
    await crew.spread();
  }
  for (const [what, times] of took) {
    console.info(`${what}: what the tab had in hand is another's after ${Math.round(median(times))} ms, at worst ${Math.round(Math.max(...times))} (${times.length} rounds)`);
    expect(median(times)).toBeLessThan(process.env.TABMQ_LONG ? BAR : MEMBER_EXPIRY / 2);
  }
}

/** All is done, and what the history says is good. */
async function expectGood(crew: Crew): Promise<void> {
  await crew.finish();
  expect(verdicts()).toEqual([]);
  expect(house.history.failed).toEqual([]);
  expect(lost(crew.acked, await crew.host.readAll(crew.topic))).toEqual([]);
}

/** A tab joins while all listeners of another do not come back for a while. */
async function newcomer(crew: Crew): Promise<void> {
  await crew.hold(0, { answer: "CONSUME_SUCCESS" });
  // In each of its queues, so also in the one that it will have to give.
  const queues = Math.floor(QUEUES / crew.seats.length);
  await until(async () => (await crew.held(0)).every((touches) => new Set(touches.map(({ queueId }) => queueId)).size >= queues));
  const since = chronicle.touches.length;
  await crew.hire(crew.seats.length);
  const life = crew.lives.at(-1)!;
  await until(() => GROUPS.every((group) => begun(life, group, since).length > 3));
}

/** A tab crashes with messages in hand, beside a worker that lacks something. Returns those of the orderly group that nobody else begins within 1.5 s. */
async function crashedWithout(name: string): Promise<{ hand: number; left: number }> {
  const crew = await Crew.open(house, chronicle, name, { ...without(name), seats: 2 });
  const death = await crew.lose(0, (tab) => tab.crash());
  await pause(1500);
  const hand = chronicle.inHand(death.life, "orderly");
  const elsewhere = new Set(chronicle.touches.filter(({ group, life }) => group === "orderly" && life !== death.life).map(({ msgId }) => msgId));
  return { hand: hand.length, left: hand.filter(({ msgId }) => !elsewhere.has(msgId)).length };
}

/** A tab is frozen until others have what it had in hand; as soon as it thaws, its listeners say that they have failed, once too often. */
async function frozen(topic: string, options: CrewOptions): Promise<{ crew: Crew; thawed: Tab }> {
  const crew = await Crew.open(house, chronicle, topic, { ...options, consumers: { maxReconsumeTimes: 0 } });
  const tab = await house.tab();
  await listenToPorts(tab);
  await crew.hire(crew.seats.length, tab);
  await crew.spread();
  let thaw = async (): Promise<void> => {};
  const death = await crew.lose(crew.seats.length - 1, async () => void (thaw = await freeze(tab)), { answer: "RECONSUME_LATER" });
  await crew.inherited(death);
  console.info(`frozen: what the tab had in hand is another's after ${GROUPS.map((group) => `${Math.round(chronicle.redelivery(death, group).first)} ms (${group})`).join(", ")}`);
  answerHold();
  await pause(500);
  death.back = performance.now();
  await thaw();
  return { crew, thawed: tab };
}

const deadLetters = (crew: Crew, group: string): Promise<number> => crew.host.run(async ({ mq }, name) => (await mq.admin.deadLetters(name)).length, group);

describe("consumers under load", () => {
  test("a tab is closed, another reloaded: what they had in hand is others' at once, each queue in its order, nothing lost, nothing twice without a cause", async () => {
    const crew = await Crew.open(house, chronicle, "closed");
    await deaths(crew, [{ name: "closed", end: (tab) => tab.page.close() }, { name: "reloaded", end: (tab) => tab.page.reload(), isSamePage: true }]);
    await expectGood(crew);
  });

  test("a tab crashes: the same", async () => {
    const crew = await Crew.open(house, chronicle, "crashed");
    await deaths(crew, [{ name: "crashed", end: (tab) => tab.crash() }]);
    // And one comes while another's listeners hang: it does not get their queues.
    await newcomer(crew);
    answerHold();
    await expectGood(crew);
  });

  test("control: a worker that does not watch the tabs' locks leaves what a crashed tab had in hand with the dead", async () => {
    const { hand, left } = await crashedWithout("no-watch");
    expect(left).toBe(hand);
  });

  test("control: a worker to which what it gives is consumed: what a crashed tab had in hand comes to nobody", async () => {
    const { hand, left } = await crashedWithout("commits-what-it-gives");
    expect(left).toBe(hand);
    // Seen at once by who looks at the order.
    expect(chronicle.disorder("orderly")).not.toEqual([]);
  });

  test("control: a worker that hands queues over at once has two tabs at one queue", async () => {
    await newcomer(await Crew.open(house, chronicle, "at-once", { ...without("hands-over-at-once"), seats: 2 }));
    await until(() => GROUPS.every((group) => chronicle.verdicts(group).some((verdict) => verdict.startsWith("two at once"))));
    expect(chronicle.disorder("orderly")).not.toEqual([]);
  });

  test("a listener that never returns is told of and its message tried again, beside others at work; control: without a limit nothing of it happens", async () => {
    const crew = await Crew.open(house, chronicle, "stuck", {
      seats: 2, connect: { broker: { messageDelayLevel: "1ms 1ms 100ms" } }, consumers: { suspendCurrentQueueTime: 100 }, seated: [{ consumeTimeout: 1000 }],
    });
    await Promise.all([crew.hold(0, { count: 1 }), crew.hold(1, { count: 1 })]);
    const since = chronicle.touches.length;
    const [stuck, control] = [(await crew.held(0)).flat(), (await crew.held(1)).flat()];
    expect([stuck.length, control.length]).toEqual([GROUPS.length, GROUPS.length]);
    const again = ({ group, msgId }: Touch): Touch[] => chronicle.touches.filter((touch) => touch.group === group && touch.msgId === msgId && touch.attempt === 2);
    await until(() => stuck.every((touch) => again(touch).some(({ isOver }) => isOver)));
    expect(new Set(await crew.errors(0))).toEqual(new Set(["clustering DEADLINE_EXCEEDED", "orderly DEADLINE_EXCEEDED"]));
    // Both tabs have gone on meanwhile, both groups in each; only the orderly queue with the message has waited.
    for (const life of crew.lives) for (const group of GROUPS) expect(begun(life, group, since).filter(({ attempt }) => attempt === 1).length).toBeGreaterThan(0);
    await pause(500);
    expect(await crew.errors(1)).toEqual([]);
    expect(control.flatMap(again)).toEqual([]);
    const [, orderly] = control;
    expect(chronicle.touches.filter(({ group, queueId, queueOffset }) => group === "orderly" && queueId === orderly!.queueId && queueOffset > orderly!.queueOffset)).toEqual([]);
    // It ends with its tab.
    const death = chronicle.dies(crew.lives[1]!, await crew.progress());
    await crew.seats[1]!.page.close();
    await crew.inherited(death);
    await expectGood(crew);
  });

  // Half a minute of waiting.
  test.runIf(process.env.TABMQ_LONG)("a tab freezes and thaws with messages in hand: it takes back nothing, and begins with nothing that is another's", { timeout: 240_000 }, async () => {
    const { crew, thawed } = await frozen("frozen", {});
    await until(async () => (await refused(thawed)).includes("STALE_GENERATION"));
    await crew.spread();
    await expectGood(crew);
    for (const group of GROUPS) expect(await deadLetters(crew, group)).toBe(0);
  });

  // On a busy machine the tab may hear that its queues have gone before its listeners answer; then it says nothing late.
  test.runIf(process.env.TABMQ_LONG)("control: a worker that takes late answers: what others have done is a dead letter", { timeout: 240_000, retry: 2 }, async () => {
    const { crew, thawed } = await frozen("late", without("takes-late-settles"));
    await until(async () => (await deadLetters(crew, "orderly")) > 0);
    expect(await refused(thawed)).toEqual([]);
  });
});
