/**
 * Connections come and go, 1,000 of them: nothing of them stays in the page, in the broker's worker, or among the origin's locks and
 * databases. Everything that is there is counted, not only what is known to have leaked once.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cycle, CYCLE_PAGES, CYCLING, type Cycling, fail, FAILURES, LEAKS, Watch } from "../support/cycles.ts";
import { SHORT } from "../support/effort.ts";
import { House, type Tab } from "../support/house.ts";
import { versionBuild } from "../support/version-build.ts";

/** All, and those before the first look, until code is compiled and tables have their size. */
const [CYCLES, WARM_UP] = SHORT ? [120, 40] : [1000, 200];
/** Of those with a worker each, which take ten times as long. */
const [OWN_CYCLES, OWN_WARM_UP] = SHORT ? [50, 20] : [CYCLES, WARM_UP];
const IN_VAIN = SHORT ? 30 : 200;

const SCENES: [name: string, cycling: Cycling, isKept: boolean][] = [
  ["at a SharedWorker that another page keeps", { namespace: "kept", host: "shared" }, true],
  ["at a worker of another tab", { namespace: "visited", host: "dedicated" }, true],
  ["at a SharedWorker that nobody else keeps", { namespace: "alone", host: "shared" }, false],
];

/** The short form takes so many of a list. */
function some<T>(list: readonly T[], short: number): readonly T[] {
  return SHORT ? list.slice(0, short) : list;
}

let house: House;
beforeAll(async () => void (house = await House.open({ pages: { ...CYCLE_PAGES, ...(await versionBuild("later", [2, 3])) } })));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

/** Who the broker knows. */
function known(tab: Tab): Promise<object> {
  return tab.run(async ({ mq }) => {
    const { sessions, calls } = (await mq.diagnostics()).broker;
    return { sessions, calls, clients: (await mq.admin.clients()).length, consumers: (await mq.admin.groups()).map(({ group, consumers }) => `${group}: ${consumers}`) };
  });
}

/** Looks again until there is nothing: what ends by a timer, or in the browser's own processes, takes a moment. */
async function leaksOf(watch: Watch, cycles: number, looks: number): Promise<string[]> {
  for (;;) {
    const { leaks, bytes } = await watch.leaks(cycles);
    if (leaks.length > 0 && --looks > 0) continue;
    console.info(`${cycles} cycles: ${bytes.page} bytes each in the page, ${bytes.worker} in the worker`);
    return leaks;
  }
}

describe(`${CYCLES} times connected and closed`, { timeout: 600_000 }, () => {
  test.each(some(SCENES, 2))("%s", async (_name, cycling, isKept) => {
    const keeper = isKept ? await house.tab() : null;
    await keeper?.connect(cycling);
    const tab = await house.tab(CYCLING);
    await cycle(tab, cycling, WARM_UP);
    const watch = await Watch.begin(house, tab, cycling, { worker: cycling.host === "shared" ? "shared_worker" : "worker" });
    await cycle(tab, cycling, CYCLES - WARM_UP);
    expect(await leaksOf(watch, CYCLES - WARM_UP, 20)).toEqual([]);
    await watch.end();
    if (keeper === null) await tab.connect(cycling);
    await expect.poll(() => known(keeper ?? tab)).toEqual({ sessions: 1, calls: 1, clients: 1, consumers: ["g: 0"] });
  });
});

/** Whether a database can be deleted at once. */
function deleteDatabase(tab: Tab, name: string): Promise<string> {
  return tab.run((_side, given) => new Promise<string>((resolve) => {
    const request = indexedDB.deleteDatabase(given);
    request.onsuccess = () => resolve("deleted");
    request.onblocked = () => resolve("somebody has it open");
    request.onerror = () => resolve(String(request.error));
  }), name);
}

test("each time with a worker of its own", { timeout: 600_000 }, async () => {
  const cycling: Cycling = { namespace: "own", host: "dedicated" };
  const cycles = OWN_CYCLES - OWN_WARM_UP;
  const tab = await house.tab(CYCLING);
  await cycle(tab, cycling, OWN_WARM_UP);
  const watch = await Watch.begin(house, tab, cycling, { worker: null });
  await cycle(tab, cycling, cycles);
  expect(await leaksOf(watch, cycles, 20)).toEqual([]);
  await watch.end();
  await expect.poll(() => workers(house)).toBe(0);
  expect(await deleteDatabase(tab, "tabmq/own")).toBe("deleted");
});

const CODES: Record<(typeof FAILURES)[number], string[]> = {
  "aborted before": ["CLOSED"],
  "aborted meanwhile": expect.arrayContaining(["CLOSED"]) as string[],
  "another key": ["INVALID_PARAMETER"],
  "another version": ["UPGRADE_REQUIRED"],
  // Let in at the door of the one that serves.
  "no script": ["connected"],
  destroyed: ["connected"],
};

describe(`${IN_VAIN} times in vain`, { timeout: 600_000 }, () => {
  // A destruction takes its time. Of 40 what stays once in a while looked like what stays each time.
  test.each(some(FAILURES, 3).map((failure) => [failure, failure === "destroyed" ? 120 : IN_VAIN] as const))("%s", async (failure, count) => {
    const cycling: Cycling = { namespace: failure.replace(" ", "-"), host: "shared" };
    const [keeper, tab] = [await house.tab(), await house.tab(CYCLING)];
    if (failure !== "destroyed") await keeper.connect(cycling);
    await fail(tab, cycling, 10, failure);
    const watch = await Watch.begin(house, tab, cycling, { worker: "shared_worker", script: failure === "another version" ? "/later/worker.js" : "/dist/worker.js", sends: false });
    const codes = await fail(tab, cycling, count, failure);
    expect(await leaksOf(watch, count, 20)).toEqual([]);
    expect(codes).toEqual(CODES[failure]);
    await watch.end();
    if (failure !== "destroyed") await expect.poll(() => known(keeper)).toMatchObject({ sessions: 1, calls: 1, clients: 1 });
  });
});

/** How many dedicated workers there are. */
async function workers({ context }: House): Promise<number> {
  const session = await context.browser()!.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  await session.detach();
  return targetInfos.filter(({ type }) => type === "worker").length;
}

describe("control", { timeout: 600_000 }, () => {
  const FOUND: Record<(typeof LEAKS)[number], RegExp> = {
    "a port": /^page: native MessagePort 100/,
    "a channel": /^page: native BroadcastChannel 50/,
    "a listener": /^page: native V8EventListener 50/,
    "a timer": /^page: native DOMTimer 50/,
    "a lock": /^locks held: 50/,
    "a text": /^page: \d+ bytes/,
    "a connection": /^worker: native MessagePort 50/,
  };

  test.each(some(LEAKS, 1))("%s that each cycle leaves behind is found", async (leak) => {
    const cycling: Cycling = { namespace: leak.replace(" ", "-"), host: "shared" };
    const [keeper, tab] = [await house.tab(), await house.tab(CYCLING)];
    await keeper.connect(cycling);
    await cycle(tab, cycling, 20);
    const watch = await Watch.begin(house, tab, cycling, { worker: "shared_worker" });
    await cycle(tab, cycling, 50, leak);
    expect(await leaksOf(watch, 50, 1)).toContainEqual(expect.stringMatching(FOUND[leak]));
    await watch.end();
  });
});
