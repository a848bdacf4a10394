import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const tabs = [await connect({ namespace }), await connect({ namespace })];
  const caches = tabs.map(() => new Map([["price/7", "12"], ["price/8", "20"]]));

  for (const [at, tab] of tabs.entries()) {
    await tab.createPushConsumer({
      consumerGroup: "cache",
      subscriptions: { invalid: "*" },
      messageModel: "BROADCASTING", // Every tab gets every message.
      messageListener: (message) => void caches[at]!.delete(message.keys[0]!),
    });
  }

  const producer = await tabs[0]!.createProducer({ producerGroup: "editor" });
  await producer.send({ topic: "invalid", keys: "price/7", body: "changed" });
  await until(() => caches.every((cache) => cache.size === 1));
  log(`left in each tab: ${caches.map((cache) => [...cache.keys()].join()).join(" | ")}`);
}

// Output:
// left in each tab: price/8 | price/8
