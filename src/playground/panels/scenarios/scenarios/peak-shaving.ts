import type { Stage } from "../stage.ts";

export const parameters = { messages: [400, 1000, 100], workers: [4, 8, 1] };

export async function run(stage: Stage<"peak-shaving">, { messages, workers }: { messages: number; workers: number }): Promise<void> {
  const { admin } = stage.mq;
  const shop = await stage.tab("shop");
  const warehouse = await stage.tab("warehouse");

  // The warehouse packs a few orders at a time, each takes 50 ms; nobody is done with the first ones before the rush is over.
  const packed = new Map<string, number>();
  let isRush = true;
  await warehouse.createPushConsumer({
    consumerGroup: "warehouse",
    subscriptions: { orders: "*" },
    consumeConcurrency: workers,
    messageListener: async ({ msgId }) => {
      await stage.pause(50);
      await stage.until(() => !isRush);
      packed.set(msgId, (packed.get(msgId) ?? 0) + 1);
    },
  });

  await stage.step("burst");
  const checkout = await shop.createProducer({ producerGroup: "checkout" });
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
  const orders = Array.from({ length: messages }, (_, order) => checkout.send({ topic: "orders", body: { order }, keys: `o-${order}` }));
  await Promise.all(orders);
  stage.log("shop")`${messages} orders stored in ${seconds()} s`;

  const { diffTotal: backlog } = await admin.consumeStats("warehouse");
  stage.log("warehouse")`${backlog} orders wait`;
  isRush = false;

  await stage.step("drain");
  await stage.until(async () => (await admin.consumeStats("warehouse")).diffTotal === 0);
  stage.log("warehouse")`all packed after ${seconds()} s`;

  await stage.step("flat");
  const { queues } = await admin.topicStats("orders");
  stage.check("stored", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages);
  stage.check("backlog", backlog, messages);
  stage.check("left", (await admin.consumeStats("warehouse")).diffTotal, 0);
  stage.check("once", [...packed.values()].filter((times) => times === 1).length, messages);
}
