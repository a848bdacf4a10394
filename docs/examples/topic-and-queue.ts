import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace });
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 2, writeQueueNums: 2 });

  const producer = await mq.createProducer({ producerGroup: "shop" });
  for (const body of ["tea", "milk", "sugar", "lemon"]) {
    await producer.send({ topic: "orders", body }); // Round robin: one queue after the other.
  }

  const { queues } = await mq.admin.topicStats("orders");
  for (const { queueId, minOffset, maxOffset } of queues) {
    log(`queue ${queueId}: offsets ${minOffset} to ${maxOffset - 1}`);
  }
}

// Output:
// queue 0: offsets 0 to 1
// queue 1: offsets 0 to 1
