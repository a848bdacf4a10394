import { describe, expect, test } from "vitest";
import type { Plan } from "./plan.ts";
import { planOf } from "./plan.ts";
import { Prng } from "./prng.ts";
import { Tab } from "./tab.ts";
import { World } from "./world.ts";

/** A calm world of one's own: what happens in it is told step by step. */
async function worldWithTabs(count: number, plan: Partial<Plan> = {}): Promise<{ world: World; tabs: Tab[] }> {
  const calm: Partial<Plan> = { commitFails: 0, commitMisreported: 0, readFails: 0, diskLatency: 1, messageLatency: 0.2 };
  const world = new World(1, { ...planOf(new Prng("scenario")), ...calm, ...plan }, {});
  const tabs = Array.from({ length: count }, (_, at) => openTab(world, `tab${at + 1}`));
  await world.scheduler.run(() => tabs.every(({ mq }) => mq !== null));
  return { world, tabs };
}

function openTab(world: World, name: string): Tab {
  const tab = new Tab(world, name, 0, { producers: 0, groups: [], admin: false, seeker: false });
  tab.start();
  return tab;
}

/** How long a tab takes from here until it is connected, in virtual ms. */
async function untilConnected(world: World, tab: Tab): Promise<number> {
  const began = world.scheduler.now;
  await world.scheduler.run(() => tab.mq !== null);
  return world.scheduler.now - began;
}

/** How long something takes, in virtual ms. */
async function duration(world: World, work: () => Promise<unknown>): Promise<number> {
  const began = world.scheduler.now;
  let ended = 0;
  const end = (): void => void (ended = world.scheduler.now);
  void work().then(end, end);
  await world.scheduler.run(() => ended > 0 || world.scheduler.now > began + 3_600_000);
  return ended - began;
}

describe("found by the simulator", () => {
  test("the broker dies: a frozen tab does not keep the news from the others", async () => {
    const { world, tabs: [frozen, other] } = await worldWithTabs(2);
    frozen!.agent.freeze();
    world.kill(world.host()!);
    expect(await duration(world, () => other!.mq!.admin.topics())).toBeLessThan(1000);
  });

  test("a send ends by its timeout, the time for asking where to send included", async () => {
    const { world, tabs: [tab] } = await worldWithTabs(1);
    const producer = await tab!.mq!.createProducer({ producerGroup: "p", sendMsgTimeout: 3000 });
    const host = world.host()!;
    // Two seconds until the broker says where, and eight more until it is stored.
    host.freeze();
    world.scheduler.after(2000, "host goes on", () => host.resume());
    world.diskSlowness = 1e6;
    expect(await duration(world, () => producer.send({ topic: "t", body: "1" }))).toBeLessThanOrEqual(3000);
  });

  test("the workers die while a tab greets them for the second time: it finds the next within the time of its connect", async () => {
    const { world } = await worldWithTabs(1);
    const late = openTab(world, "late");
    world.host()!.freeze();
    // After three seconds it asks again, and asks a successor besides. Nothing tells that nobody is there any more to hear it.
    world.scheduler.after(3_500, "workers die", () => world.workers().forEach((worker) => world.kill(worker)));
    expect(await untilConnected(world, late)).toBeLessThan(10_000);
  });

  test("while a tab greets a hung worker the others find its successor: it follows them at once", async () => {
    const { world, tabs: [first] } = await worldWithTabs(1);
    world.host()!.freeze();
    void first!.mq!.admin.topics().catch(() => {});
    await world.scheduler.run(() => world.host()?.name.endsWith("#1") ?? false);
    world.diskSlowness = 500;
    expect(await untilConnected(world, openTab(world, "late"))).toBeLessThan(10_000);
  });
});
