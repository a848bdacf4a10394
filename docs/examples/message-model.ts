import { connect, type MessageModel } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const tabs = [await connect({ namespace }), await connect({ namespace })];
  const got = { CLUSTERING: 0, BROADCASTING: 0 };

  for (const messageModel of ["CLUSTERING", "BROADCASTING"] satisfies MessageModel[]) {
    for (const tab of tabs) {
      await tab.createPushConsumer({
        consumerGroup: messageModel.toLowerCase(),
        subscriptions: { news: "*" },
        messageModel,
        messageListener: () => void got[messageModel]++,
      });
    }
  }

  const producer = await tabs[0]!.createProducer({ producerGroup: "desk" });
  for (let edition = 1; edition <= 6; edition++) {
    await producer.send({ topic: "news", body: `edition ${edition}` });
  }

  await until(() => got.CLUSTERING === 6 && got.BROADCASTING === 12);
  log(`6 messages, 2 tabs: clustering ${got.CLUSTERING} deliveries, broadcasting ${got.BROADCASTING}`);
}

// Output:
// 6 messages, 2 tabs: clustering 6 deliveries, broadcasting 12
