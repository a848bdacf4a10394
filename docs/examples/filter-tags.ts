import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  const got: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "billing",
    subscriptions: { orders: "created || paid" }, // The broker looks; the rest never leaves it.
    messageListener: (message) => void got.push(`${message.tags} ${message.text()}`),
  });

  const producer = await mq.createProducer({ producerGroup: "shop" });
  for (const tags of ["created", "packed", "paid", "sent"]) {
    await producer.send({ topic: "orders", tags, body: "o-7" });
  }

  await until(() => got.length === 2);
  log(got.sort().join(", "));
}

// Output:
// created o-7, paid o-7
