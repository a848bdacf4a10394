import { connect, MessageSelector, MQError } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  const got: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "audit",
    subscriptions: { orders: MessageSelector.bySql("amount > 100 AND region IN ('eu', 'uk')") },
    messageListener: (message) => void got.push(message.text()),
  });

  const producer = await mq.createProducer({ producerGroup: "shop" });
  await producer.send({ topic: "orders", body: "cheap", properties: { amount: "20", region: "eu" } });
  await producer.send({ topic: "orders", body: "far away", properties: { amount: "500", region: "us" } });
  await producer.send({ topic: "orders", body: "to be audited", properties: { amount: "500", region: "uk" } });
  await until(() => got.length === 1);
  log(got.join());

  try {
    MessageSelector.bySql("amount > > 100"); // Wrong where it is written, and it says where.
  } catch (error) {
    if (error instanceof MQError) log(`${error.code} at ${error.position}`);
  }
}

// Output:
// to be audited
// SUBSCRIPTION_PARSE_FAILED at 9
