import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 1, writeQueueNums: 1 });
  let seen: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "billing",
    subscriptions: { orders: "*" },
    messageListener: (message) => void seen.push(message.text()),
  });

  const producer = await mq.createProducer({ producerGroup: "shop" });
  await producer.send(["o-1", "o-2", "o-3"].map((body) => ({ topic: "orders", body })));
  await until(async () => seen.length === 3 && (await mq.admin.consumeStats("billing")).diffTotal === 0);
  log(`consumed ${seen.sort().join(" ")}; behind: 0`);

  seen = [];
  // While it works.
  const [queue] = await mq.admin.resetOffset({ group: "billing", topic: "orders", offset: 1 });
  log(`goes on at ${queue!.offset}`);
  await until(() => seen.length === 2);
  log(`again ${seen.sort().join(" ")}`);
}

// Output:
// consumed o-1 o-2 o-3; behind: 0
// goes on at 1
// again o-2 o-3
