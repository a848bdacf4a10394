import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  const seen: Record<string, string[]> = { anna: [], ben: [] };
  let isBroken = true;

  await mq.createPushConsumer({
    consumerGroup: "ledger",
    subscriptions: { accounts: "*" },
    orderly: true,
    suspendCurrentQueueTime: 10, // The same message again after 10 ms; what is behind it waits.
    messageListener: (message) => {
      if (message.text() === "withdraw" && isBroken) {
        isBroken = false;
        throw new Error("the ledger is locked");
      }
      seen[message.messageGroup!]!.push(message.text());
    },
  });

  const producer = await mq.createProducer({ producerGroup: "bank" });
  for (const body of ["open", "deposit", "withdraw", "close"]) {
    for (const messageGroup of ["anna", "ben"]) {
      await producer.send({ topic: "accounts", body, messageGroup });
    }
  }
  await until(() => seen.anna!.length === 4 && seen.ben!.length === 4);
  for (const [name, steps] of Object.entries(seen)) log(`${name}: ${steps.join(" → ")}`);
}

// Output:
// anna: open → deposit → withdraw → close
// ben: open → deposit → withdraw → close
