import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  let likes = 0;
  await mq.createPushConsumer({
    consumerGroup: "counter",
    subscriptions: { likes: "*" },
    // A second message with the same key is acknowledged without a call.
    idempotent: { key: (message) => message.keys[0]!, window: 3_600_000 },
    messageListener: () => void likes++,
  });

  const producer = await mq.createProducer({ producerGroup: "app" });
  const like = { topic: "likes", keys: "user-1/post-7", body: "+1" };
  await producer.send({ ...like });
  await producer.send({ ...like }); // The user has clicked twice, in two tabs.
  await producer.send({ ...like, keys: "user-2/post-7" });
  await until(async () => likes === 2 && (await mq.admin.consumeStats("counter")).diffTotal === 0);
  log(`3 messages, ${likes} likes`);
}

// Output:
// 3 messages, 2 likes
