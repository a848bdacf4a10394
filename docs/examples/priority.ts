import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace });
  await mq.admin.createTopic({ topic: "jobs", messageType: "PRIORITY" }); // 4 queues: levels 0 to 3.
  const workers = await mq.createSimpleConsumer({ consumerGroup: "workers", subscriptions: { jobs: "*" } });

  const producer = await mq.createProducer({ producerGroup: "app" });
  for (const [body, priority] of [["thumbnail", 0], ["invoice", 2], ["alarm", 3], ["report", 1]] as const) {
    await producer.send({ topic: "jobs", body, priority });
  }

  for (let count = 0; count < 4; count++) {
    const [job] = await workers.receive({ max: 1, invisibleDuration: 60_000, awaitDuration: 30_000 });
    log(`${job!.priority}: ${job!.text()}`);
    await workers.ack(job!);
  }
}

// Output:
// 3: alarm
// 2: invoice
// 1: report
// 0: thumbnail
