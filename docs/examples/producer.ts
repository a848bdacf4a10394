import { connect, MQError } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace });
  const producer = await mq.createProducer({ producerGroup: "checkout" });

  const one = await producer.send({ topic: "orders", body: "tea", tags: "created", keys: "o-7" });
  log(`one: ${one.sendStatus}, a msgId of ${one.msgId.length} characters, offset ${one.queueOffset}`);

  // A batch goes to one queue, with consecutive offsets; all of it is stored, or nothing.
  const batch = await producer.send([
    { topic: "stock", body: "milk" },
    { topic: "stock", body: "sugar" },
  ]);
  log(`a batch: ${batch.msgId.split(",").length} messages from offset ${batch.queueOffset} on`);

  const [found] = await mq.admin.queryMessages({ topic: "orders", key: "o-7" });
  log(`found by its key: ${found!.text()}; the same msgId: ${found!.msgId === one.msgId}`);

  try {
    await producer.send({ topic: "orders", body: "" });
  } catch (error) {
    if (error instanceof MQError) log(`${error.code} at ${error.field}, outcome ${error.outcome}`);
  }
}

// Output:
// one: SEND_OK, a msgId of 32 characters, offset 0
// a batch: 2 messages from offset 0 on
// found by its key: tea; the same msgId: true
// MESSAGE_ILLEGAL at message.body, outcome rejected
