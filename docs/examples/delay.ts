import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  const got: string[] = [];
  let early = 0;
  await mq.createPushConsumer({
    consumerGroup: "mailer",
    subscriptions: { mail: "*" },
    messageListener: (message) => {
      got.push(message.text());
      if (Date.now() < Number(message.keys[0])) early++;
    },
  });

  const producer = await mq.createProducer({ producerGroup: "app" });
  const at = Date.now() + 500;
  await producer.send({ topic: "mail", body: "a reminder", deliverAt: at, keys: `${at}` });
  const { recallHandle } = await producer.send({ topic: "mail", body: "a mistake", deliverAfter: 3_600_000 });
  log(`recalled: ${(await producer.recall(recallHandle!)).recalled}`); // It will never be delivered.
  await until(() => got.length === 1);
  log(`${got.join()}; ${early} early`);
}

// Output:
// recalled: true
// a reminder; 0 early
