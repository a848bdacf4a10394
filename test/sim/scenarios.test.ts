import { describe, expect, test } from "vitest";
import { duration, openTab, untilConnected, worldWithTabs } from "./stage.ts";

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
