import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace });
  const workers = await mq.createSimpleConsumer({ consumerGroup: "workers", subscriptions: { jobs: "*" } });
  const producer = await mq.createProducer({ producerGroup: "app" });
  await producer.send({ topic: "jobs", body: "resize picture 1" });

  // Ours for a minute; nobody else gets it meanwhile, and no queue is owned.
  const [first] = await workers.receive({ max: 1, invisibleDuration: 60_000, awaitDuration: 30_000 });
  log(`received: ${first!.text()}`);
  await workers.changeInvisibleDuration(first!, 1); // Somebody else may have it, as soon as may be.

  const [again] = await workers.receive({ max: 1, invisibleDuration: 60_000, awaitDuration: 30_000 });
  log(`again: ${again!.text()}, tried before: ${again!.reconsumeTimes}`);
  await workers.ack(again!);
  log(`left: ${(await mq.admin.consumeStats("workers")).diffTotal}`);
}

// Output:
// received: resize picture 1
// again: resize picture 1, tried before: 1
// left: 0
