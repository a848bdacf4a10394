import { connect, MQError } from "tabmq";
import type { Live } from "./live.ts";

/** 32 random bytes. An application keeps them, or derives them from what the user knows. */
export const encryptionKey = crypto.getRandomValues(new Uint8Array(32));

export default async function run({ namespace, log }: Live) {
  const mq = await connect({ namespace, encryptionKey });
  const producer = await mq.createProducer({ producerGroup: "clinic" });
  const { msgId } = await producer.send({ topic: "notes", body: "nobody's business" });
  log(`encrypted: ${(await mq.diagnostics()).broker.encrypted}`);
  log(`with the key: ${(await mq.admin.viewMessage(msgId)).text()}`);

  try {
    await connect({ namespace });
  } catch (error) {
    if (error instanceof MQError) log(`without it: ${error.code}`);
  }
}

// Output:
// encrypted: true
// with the key: nobody's business
// without it: CANNOT_DECRYPT
