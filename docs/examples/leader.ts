import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const connectTab = () => connect({ namespace });
  const tabs = [await connectTab(), await connectTab(), await connectTab()];
  const mq = tabs[0]!;
  // One queue: one of the group has it.
  await mq.admin.createTopic({ topic: "sync", readQueueNums: 1, writeQueueNums: 1 });

  const done: { tab: number; job: string }[] = [];
  for (const [tab, connection] of tabs.entries()) {
    await connection.createPushConsumer({
      consumerGroup: "sync",
      subscriptions: { sync: "*" },
      orderly: true,
      messageListener: (message) => void done.push({ tab, job: message.text() }),
    });
  }

  const producer = await mq.createProducer({ producerGroup: "app" });
  await producer.send({ topic: "sync", body: "job 1" });
  await until(() => done.length === 1);
  const leader = done[0]!.tab;
  log("one tab of three has done job 1");

  await tabs[leader]!.close();
  const other = await tabs.find((_, at) => at !== leader)!.createProducer({ producerGroup: "app" });
  await other.send({ topic: "sync", body: "job 2" });
  await until(() => done.length === 2);
  log(`it is closed; ${done[1]!.tab === leader ? "nobody" : "another one"} has done job 2`);
}

// Output:
// one tab of three has done job 1
// it is closed; another one has done job 2
