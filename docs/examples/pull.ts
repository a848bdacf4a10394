import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace });
  await mq.admin.createTopic({ topic: "log", readQueueNums: 1, writeQueueNums: 1 });
  const producer = await mq.createProducer({ producerGroup: "app" });
  await producer.send(["one", "two", "three"].map((body) => ({ topic: "log", body })));

  // A member of a group that asks when it likes.
  const reader = await mq.createPullConsumer({
    consumerGroup: "reader",
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
  });
  await reader.subscribe("log");
  for (let left = 3; left > 0; ) {
    const messages = await reader.poll({ max: 2, timeout: 30_000 });
    log(`polled: ${messages.map((message) => message.text()).join(", ")}`);
    left -= messages.length;
  }

  // Anything, anywhere, without being a member of anything.
  const [queue] = await reader.fetchQueues("log");
  const { status, messages, nextBeginOffset } = await reader.pull(queue!, "*", 1, 32);
  log(`${status}: ${messages.map((message) => message.text()).join(", ")}; next is ${nextBeginOffset}`);
}

// Output:
// polled: one, two
// polled: three
// FOUND: two, three; next is 3
