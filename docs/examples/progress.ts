import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const [worker, watcher] = [await connect({ namespace }), await connect({ namespace })];
  const seen: number[] = [];
  await watcher.createPushConsumer({
    consumerGroup: "progress-bar",
    subscriptions: { progress: "*" },
    messageModel: "BROADCASTING",
    orderly: true,
    messageListener: (message) => void seen.push(message.json<{ percent: number }>().percent),
  });

  const producer = await worker.createProducer({ producerGroup: "upload" });
  for (const percent of [0, 50, 100]) {
    // Nobody minds if the newest figure is lost in a crash: so nobody waits for the disk.
    const message = { topic: "progress", body: { percent }, messageGroup: "upload-7" };
    await producer.send({ ...message, waitStoreMsgOK: false });
  }
  await until(() => seen.length === 3);
  log(`the other tab has seen ${seen.join(", ")}`);
}

// Output:
// the other tab has seen 0, 50, 100
