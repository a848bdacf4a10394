import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  let done = 0;

  // Any tab of your origin …
  await mq.createPushConsumer({
    consumerGroup: "billing",
    subscriptions: { orders: "*" },
    messageListener: (message) => {
      log(`billing got ${message.text()}`);
      done++;
    },
  });

  // … and any other.
  const producer = await mq.createProducer({ producerGroup: "checkout" });
  const { sendStatus } = await producer.send({ topic: "orders", body: "order 7: tea" });
  log(`${sendStatus}: it is on disk`);
  await until(() => done === 1);
}

// Unordered output:
// SEND_OK: it is on disk
// billing got order 7: tea
