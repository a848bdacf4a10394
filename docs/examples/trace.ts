import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace, broker: { messageDelayLevel: "10ms 10ms 10ms" } });
  await mq.createPushConsumer({
    consumerGroup: "printer",
    subscriptions: { labels: "*" },
    messageListener: (_message, { attempt }) => {
      if (attempt === 1) throw new Error("out of paper");
    },
  });
  const producer = await mq.createProducer({ producerGroup: "shop" });
  const { msgId } = await producer.send({ topic: "labels", body: "o-7" });

  const tries = async () => {
    const { events } = await mq.admin.messageTrace(msgId);
    return events.filter((event) => event.type === "CONSUME");
  };
  await until(async () => (await tries()).at(-1)?.success === true);
  for (const { attempt, success, reason } of await tries()) {
    log(`attempt ${attempt}: ${success ? "consumed" : reason}`);
  }
  const [track] = await mq.admin.messageTrack(msgId);
  log(`${track!.group}: ${track!.trackType}`);
}

// Output:
// attempt 1: out of paper
// attempt 2: consumed
// printer: CONSUMED
