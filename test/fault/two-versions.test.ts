/** A deployment while tabs are open: pages and workers of two versions of the library over one database. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { deliveredTwice, lost, undelivered } from "../support/history.ts";
import { House, type Tab, until } from "../support/house.ts";
import { versionBuild } from "../support/version-build.ts";

/** Takes SharedWorker away, or not, and loads the library of a version. */
const page = (name: string, isShared: boolean): string =>
  `<!doctype html><meta charset="utf-8">${isShared ? "" : "<script>delete globalThis.SharedWorker</script>"}<script type="module" src="/${name}.js"></script>`;
const script = (name: string): string => `import * as tabmq from "/${name}/index.js";
globalThis.side = { tabmq, box: {}, report: async (report) => void (await fetch("/report", { method: "POST", body: JSON.stringify(report) })) };`;

let house: House;
beforeAll(async () => {
  const builds = await Promise.all([versionBuild("one", [1, 1]), versionBuild("two", [1, 2]), versionBuild("three", [2, 3])]);
  const names = ["one", "two", "three"];
  const pages = names.flatMap((name) => [[`/${name}`, page(name, true)], [`/${name}-tab`, page(name, false)], [`/${name}.js`, script(name)]]);
  house = await House.open({ pages: { ...Object.fromEntries(pages), ...Object.assign({}, ...builds) } });
});
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

function seen(tab: Tab): Promise<{ protocol: number; code: string; epoch: number; sessions: number }> {
  return tab.run(async ({ mq }) => {
    const { protocol, host: { code }, broker: { epoch, sessions } } = await mq.diagnostics();
    return { protocol, code, epoch, sessions };
  });
}

describe.each([
  ["with a SharedWorker", "", "ANOTHER_SERVES"],
  ["without one", "-tab", "ANOTHER_SERVES"],
])("two versions in two tabs, %s", (_kind, suffix, code) => {
  test("the later one's worker takes over while both send and consume; nothing is lost, and the earlier tab goes on", async () => {
    const namespace = `versions${suffix}`;
    const old = await house.tab(`/one${suffix}`);
    await old.connect({ namespace });
    await old.consume("g", namespace, "old");
    const acked = await old.send(namespace, bodies(50, "before "));
    const meanwhile = old.send(namespace, bodies(300, "meanwhile "));
    const next = await house.tab(`/two${suffix}`);
    await next.connect({ namespace });
    acked.push(...(await meanwhile));
    await until(async () => (await seen(next)).protocol === 2);
    const both = await Promise.all([old.send(namespace, bodies(50, "old ")), next.send(namespace, bodies(50, "new "))]);
    acked.push(...both.flat());
    expect(await seen(next)).toMatchObject({ protocol: 2, epoch: 2, sessions: 2 });
    expect(await seen(old)).toMatchObject({ protocol: 1, epoch: 2, code });
    await until(() => undelivered(acked, of(house.history.delivered, namespace)).length === 0);
    expect(deliveredTwice(of(house.history.delivered, namespace))).toEqual([]);
    expect(lost(acked, await next.readAll(namespace))).toEqual([]);
    const { rows } = await next.epochs(namespace);
    expect([...new Set(rows)]).toEqual([1, 2]);
  });

  test("control: a tab of the same version changes nothing", async () => {
    const namespace = `same${suffix}`;
    const [a, b] = [await house.tab(`/two${suffix}`), await house.tab(`/two${suffix}`)];
    await a.connect({ namespace });
    await b.connect({ namespace });
    await b.send(namespace, bodies(10, ""));
    expect([(await seen(a)).epoch, (await seen(b)).sessions]).toEqual([1, 2]);
  });

  test("with no language in common the earlier tab is told UPGRADE_REQUIRED, and what it was acknowledged is there", async () => {
    const namespace = `strangers${suffix}`;
    const old = await house.tab(`/one${suffix}`);
    await old.connect({ namespace });
    const acked = await old.send(namespace, bodies(50, ""));
    const next = await house.tab(`/three${suffix}`);
    await next.connect({ namespace });
    expect(await seen(next)).toMatchObject({ protocol: 3, epoch: 2 });
    const refusal = await old.run(async ({ mq, tabmq }) => mq.admin.topics().then(() => "served", (error: unknown) => (error instanceof tabmq.MQError ? error.code : String(error))));
    expect(refusal).toBe("UPGRADE_REQUIRED");
    expect(lost(acked, await next.readAll(namespace))).toEqual([]);
  });
});
