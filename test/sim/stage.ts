import type { Plan } from "./plan.ts";
import { planOf } from "./plan.ts";
import { Prng } from "./prng.ts";
import { Tab } from "./tab.ts";
import { World } from "./world.ts";

/** A calm world of one's own: what happens in it is told step by step. */
export async function worldWithTabs(count: number, plan: Partial<Plan> = {}): Promise<{ world: World; tabs: Tab[] }> {
  const calm: Partial<Plan> = { commitFails: 0, commitMisreported: 0, readFails: 0, diskLatency: 1, messageLatency: 0.2 };
  const world = new World(1, { ...planOf(new Prng("scenario")), ...calm, ...plan }, {});
  const tabs = Array.from({ length: count }, (_, at) => openTab(world, `tab${at + 1}`));
  await world.scheduler.run(() => tabs.every(({ mq }) => mq !== null));
  return { world, tabs };
}

export function openTab(world: World, name: string): Tab {
  const tab = new Tab(world, name, 0, { producers: 0, groups: [], admin: false, seeker: false });
  tab.start();
  return tab;
}

/** How long a tab takes from here until it is connected, in virtual ms. */
export async function untilConnected(world: World, tab: Tab): Promise<number> {
  const began = world.scheduler.now;
  await world.scheduler.run(() => tab.mq !== null);
  return world.scheduler.now - began;
}

/** How long something takes, in virtual ms. */
export async function duration(world: World, work: () => Promise<unknown>): Promise<number> {
  const began = world.scheduler.now;
  let ended = 0;
  const end = (): void => void (ended = world.scheduler.now);
  void work().then(end, end);
  await world.scheduler.run(() => ended > 0 || world.scheduler.now > began + 3_600_000);
  return ended - began;
}
