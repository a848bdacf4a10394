import { afterAll, beforeAll, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterAll(() => house.close());

/** The reply, or the code of the refusal, and how long it took, ms. */
function ask(from: Tab, body: string, timeout: number): Promise<{ outcome: string; tookMs: number }> {
  return from.run(async ({ producer }, given) => {
    const began = performance.now();
    const outcome = await producer.request({ topic: "t", body: given.body }, { timeout: given.timeout }).then((reply) => reply.text(), (error: { code: string }) => error.code);
    return { outcome, tookMs: performance.now() - began };
  }, { body, timeout });
}

test("a tab asks another and has its reply, also through the death of the worker; when nobody listens it is told and does not wait", async () => {
  const [asker, answerer] = [await house.tab(), await house.tab()];
  for (const tab of [asker, answerer]) await tab.connect({ namespace: "request", broker: { defaultTopicQueueNums: 1 } });
  const refused = await ask(asker, "?", 60_000);
  expect(refused.outcome).toBe("CONSUMER_NOT_ONLINE");
  expect(refused.tookMs).toBeLessThan(30_000);

  await answerer.run(async (side) => {
    side.consumer = await side.mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" },
      messageListener: async (message, context) => {
        // Until the worker is dead.
        if (message.text() === "slow") await new Promise((resolve) => (side.box["goOn"] = resolve));
        await context.reply(`re ${message.text()}`);
      },
    });
  });
  expect((await ask(asker, "quick", 60_000)).outcome).toBe("re quick");

  const slow = ask(asker, "slow", 60_000);
  await answerer.run(async ({ box }) => {
    while (box["goOn"] === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  });
  expect(await house.closeWorkers(".js")).toBeGreaterThan(0);
  await answerer.run(({ box }) => (box["goOn"] as () => void)());
  expect((await slow).outcome).toBe("re slow");

  // The listener's tab dies without a word; the broker hears of it by its lock.
  await answerer.crash();
  await until(async () => (await ask(asker, "?", 2_000)).outcome === "CONSUMER_NOT_ONLINE");
});
