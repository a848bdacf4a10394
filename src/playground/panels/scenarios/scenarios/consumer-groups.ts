import type { Stage } from "../stage.ts";

export const parameters = { messages: [120, 400, 40] };

export async function run(stage: Stage<"consumer-groups">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  const producer = await stage.mq.createProducer({ producerGroup: "shop" });
  const got = { billing: new Map<string, string[]>(), mailing: new Map<string, string[]>() };

  const work = async (group: "billing" | "mailing", name: string) => {
    const tab = await stage.tab(name);
    await tab.createPushConsumer({
      consumerGroup: group,
      subscriptions: { orders: "*" },
      messageListener: async ({ msgId }) => {
        await stage.pause(30);
        got[group].set(msgId, [...(got[group].get(msgId) ?? []), name]);
      },
    });
    return tab;
  };
  const send = async (count: number) => {
    for (let order = 0; order < count; order++) {
      await producer.send({ topic: "orders", body: { order } });
      await stage.pause(20);
    }
  };
  const owners = async () => (await admin.consumeStats("billing")).queues.filter(({ topic }) => topic === "orders").map(({ clientId }) => clientId);
  const owns = async (name: string, count: number) => (await owners()).filter((owner) => owner === name).length === count;

  await stage.step("groups");
  await work("billing", "billing-1");
  await work("mailing", "mailing-1");
  await send(messages * 0.4);

  await stage.step("share");
  const second = await work("billing", "billing-2");
  await stage.until(() => owns("billing-2", 2));
  stage.log("billing-2")`has two of the four queues now`;
  const shared = new Set(await owners()).size;
  await send(messages * 0.4);
  await stage.until(() => [...got.billing.values()].some((names) => names.includes("billing-2")));

  await stage.step("leave");
  await second.close();
  await stage.until(() => owns("billing-1", 4));
  stage.log("billing-1")`has all queues again`;
  await send(messages * 0.2);
  await stage.until(async () => (await admin.consumeStats("billing")).diffTotal + (await admin.consumeStats("mailing")).diffTotal === 0);

  await stage.step("once");
  const { queues } = await admin.topicStats("orders");
  const stored = queues.reduce((sum, queue) => sum + queue.maxOffset, 0);
  stage.check("stored", stored, messages);
  stage.check("shared", shared, 2);
  stage.check("billing", [...got.billing.values()].filter((names) => names.length === 1).length, stored);
  stage.check("mailing", [...got.mailing.values()].filter((names) => names.length === 1).length, stored);
  stage.check("both", new Set([...got.billing.values()].flat()).size, 2);
}
