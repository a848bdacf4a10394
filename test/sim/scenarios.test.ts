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
  const roles = { producers: 0, groups: [], admin: false, seeker: false };
  const tabs = Array.from({ length: count }, (_, at) => new Tab(world, `tab${at + 1}`, 0, roles));
  for (const tab of tabs) tab.start();
  await world.scheduler.run(() => tabs.every(({ mq }) => mq !== null));
  return { world, tabs };
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
});
