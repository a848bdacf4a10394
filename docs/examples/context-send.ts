import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace, broker: { messageDelayLevel: "10ms 10ms 10ms" } });
  const invoices: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "mailer",
    subscriptions: { invoices: "*" },
    messageListener: (message) => void invoices.push(message.text()),
  });

  await mq.createPushConsumer({
    consumerGroup: "billing",
    subscriptions: { orders: "*" },
    messageListener: (order, context) => {
      // With the acknowledgement, or not at all.
      context.send({ topic: "invoices", body: `invoice for ${order.text()}` });
      log(`attempt ${context.attempt}`);
      if (context.attempt === 1) throw new Error("crashed behind the send");
    },
  });
  const producer = await mq.createProducer({ producerGroup: "shop" });
  await producer.send({ topic: "orders", body: "o-7" });

  await until(() => invoices.length > 0);
  const { queues } = await mq.admin.topicStats("invoices");
  log(`${invoices.join()}; stored: ${queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)}`);
}

// Output:
// attempt 1
// attempt 2
// invoice for o-7; stored: 1
