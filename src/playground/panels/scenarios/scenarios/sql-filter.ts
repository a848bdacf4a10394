import { MessageSelector } from "../../../../index.ts";
import type { Stage } from "../stage.ts";

export const parameters = { messages: [120, 400, 40] };

export async function run(stage: Stage<"sql-filter">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "orders" });
  const regions = ["eu", "us", "asia"];
  const got = { large: [] as string[], west: [] as string[], all: [] as string[] };

  const consume = async (group: keyof typeof got, filter: MessageSelector | string) => {
    const tab = await stage.connection(group);
    await tab.createPushConsumer({ consumerGroup: group, subscriptions: { orders: filter }, messageListener: ({ keys: [order = ""] }) => void got[group].push(order) });
  };
  await consume("large", MessageSelector.bySql("amount > 100 AND region = 'eu'"));
  await consume("west", MessageSelector.bySql("region IN ('eu', 'us') AND amount BETWEEN 20 AND 60"));
  await consume("all", "*");

  await stage.step("send");
  const producer = await stage.mq.createProducer({ producerGroup: "shop" });
  const sent = Array.from({ length: messages }, (_, order) => ({ order, region: regions[order % 3]!, amount: (order * 37) % 200 }));
  for (const { order, region, amount } of sent) {
    await producer.send({ topic: "orders", body: { order }, keys: `o-${order}`, tags: region, properties: { region, amount: String(amount) } });
    await stage.pause(25);
  }

  await stage.step("filter");
  const [large, west] = [
    sent.filter(({ region, amount }) => amount > 100 && region === "eu").length,
    sent.filter(({ region, amount }) => region !== "asia" && amount >= 20 && amount <= 60).length,
  ];
  await stage.until(() => got.all.length >= messages && got.large.length >= large && got.west.length >= west);
  await stage.until(async () => (await admin.consumeStats("all")).diffTotal === 0);
  // Time for what nobody has asked for.
  await stage.pause(1000);
  for (const [group, orders] of Object.entries(got)) stage.log(group)`has got ${orders.length} of ${messages} orders`;

  await stage.step("result");
  const { queues } = await admin.topicStats("orders");
  const [asian] = await admin.queryMessages({ topic: "orders", key: `o-${sent.find(({ region }) => region === "asia")!.order}` });
  const tracks = await admin.messageTrack(asian!.msgId);
  stage.check("stored", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages);
  stage.check("large", got.large.length, large);
  stage.check("west", got.west.length, west);
  stage.check("all", got.all.length, messages);
  stage.check("track", tracks.find(({ group }) => group === "large")!.trackType, "FILTERED");
}
