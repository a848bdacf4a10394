import { connect, type PushConsumer } from "tabmq";
import type { Live } from "./live.ts";

/** Its queues of the topic; that of the group's retries is one more. */
const countOf = (consumer: PushConsumer) =>
  consumer.assignment().filter(({ topic }) => topic === "orders").length;

export default async function run({ namespace, log, until }: Live) {
  // Two connections, as two tabs have them.
  const [tabA, tabB] = [await connect({ namespace }), await connect({ namespace })];
  await tabA.admin.createTopic({ topic: "orders", readQueueNums: 4, writeQueueNums: 4 });
  const billing = { consumerGroup: "billing", subscriptions: { orders: "*" }, messageListener: () => {} };

  const a = await tabA.createPushConsumer(billing);
  log(`tab A alone has ${countOf(a)} queues`);

  const b = await tabB.createPushConsumer(billing);
  await until(() => countOf(a) === 2 && countOf(b) === 2);
  log(`tab B has come: A has ${countOf(a)}, B has ${countOf(b)}`);

  await tabB.close();
  await until(() => countOf(a) === 4);
  log(`tab B has gone: A has ${countOf(a)}`);
}

// Output:
// tab A alone has 4 queues
// tab B has come: A has 2, B has 2
// tab B has gone: A has 4
