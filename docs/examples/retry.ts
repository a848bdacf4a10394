import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  // Usually 10 s, 30 s, 1 min … between two tries; here nobody wants to wait.
  const mq = await connect({ namespace, broker: { messageDelayLevel: "10ms 10ms 10ms 10ms" } });
  let isMended = false;
  let isPrinted = false;

  await mq.createPushConsumer({
    consumerGroup: "printer",
    subscriptions: { labels: "*" },
    maxReconsumeTimes: 2,
    messageListener: (_message, { attempt }) => {
      log(`attempt ${attempt}`);
      if (!isMended) throw new Error("out of paper");
      isPrinted = true;
    },
  });
  const producer = await mq.createProducer({ producerGroup: "shop" });
  await producer.send({ topic: "labels", body: "o-7" });

  await until(async () => (await mq.admin.deadLetters("printer")).length === 1);
  const [letter] = await mq.admin.deadLetters("printer");
  log(`dead: ${letter!.properties["DLQ_ERROR"]}`);

  isMended = true;
  await mq.admin.resendDeadLetters({ group: "printer" });
  await until(() => isPrinted);
  log(`left: ${(await mq.admin.deadLetters("printer")).length}`);
}

// Output:
// attempt 1
// attempt 2
// attempt 3
// dead: out of paper
// attempt 1
// left: 0
