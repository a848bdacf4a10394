import { expect, test } from "vitest";
import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import type { Agent } from "./scheduler.ts";
import { worldWithTabs } from "./stage.ts";

/** Virtual ms from the end of a consumer that has every message in hand until another one has them all. */
async function handedOver(end: (agent: Agent, kill: (agent: Agent) => void) => void): Promise<number> {
  const { world, tabs } = await worldWithTabs(3);
  const [sender, victim, heir] = tabs as [typeof tabs[0] & object, typeof tabs[0] & object, typeof tabs[0] & object];
  const got = { victim: 0, heir: 0 };
  const options = { consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" } as const;
  let isReady = false;
  void (async () => {
    await sender.mq!.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
    const producer = await sender.mq!.createProducer({ producerGroup: "p" });
    await victim.mq!.createPushConsumer({ ...options, messageListener: () => new Promise(() => void got.victim++) });
    for (let at = 0; at < 8; at++) await producer.send({ topic: "t", body: String(at) });
    while (got.victim < 8) await sender.sleep(10);
    await heir.mq!.createPushConsumer({ ...options, messageListener: () => void got.heir++ });
    await sender.sleep(1000);
    isReady = true;
  })();
  await world.scheduler.run(() => isReady);
  expect(got.heir).toBe(0);
  const began = world.scheduler.now;
  end(victim.agent, (agent) => world.kill(agent));
  await world.scheduler.run(() => got.heir === 8);
  return world.scheduler.now - began;
}

test("a consumer dies: another has what it had in hand within a second", async () => {
  expect(await handedOver((agent, kill) => kill(agent))).toBeLessThan(1000);
});

test("control: one that is frozen keeps its lock, and only its silence is noticed", async () => {
  const took = await handedOver((agent) => agent.freeze());
  expect(took).toBeGreaterThan(MEMBER_EXPIRY);
  expect(took).toBeLessThan(2 * MEMBER_EXPIRY);
});
