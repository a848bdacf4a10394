import { connect } from "tabmq";
import type { Live } from "./live.ts";

const GAP = 100; // ms between two calls of the server, over all tabs

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  await mq.admin.createTopic({ topic: "calls", readQueueNums: 1, writeQueueNums: 1 });
  const times: number[] = [];
  await mq.createPushConsumer({
    consumerGroup: "api",
    subscriptions: { calls: "*" },
    // One queue, one at a time: one tab calls the server, and the next call waits for this one.
    orderly: true,
    messageListener: async () => {
      times.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, GAP));
    },
  });

  const producer = await mq.createProducer({ producerGroup: "app" });
  await producer.send(["a", "b", "c", "d"].map((body) => ({ topic: "calls", body })));
  await until(() => times.length === 4);
  const gaps = times.slice(1).map((time, at) => time - times[at]!);
  log(`4 calls, ${gaps.filter((gap) => gap < GAP - 5).length} of them too soon`);
}

// Output:
// 4 calls, 0 of them too soon
