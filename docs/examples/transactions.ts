import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  // Who has not said how it ended is asked after 6 s; here after 3.
  const mq = await connect({
    namespace,
    broker: { transactionTimeout: 3000, transactionCheckInterval: 1000 },
  });
  const saved = new Set<string>(); // The application's own database.
  const packed: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "warehouse",
    subscriptions: { orders: "*" },
    messageListener: (message) => void packed.push(message.text()),
  });

  const checkout = await mq.createTransactionProducer({
    producerGroup: "checkout",
    executeLocalTransaction: (_message, outcome, { transactionId }) => {
      if (outcome === "refused") return "ROLLBACK";
      saved.add(transactionId);
      return outcome === "crashed" ? "UNKNOWN" : "COMMIT";
    },
    // Asked by the broker in whatever tab of the group, when nobody has said.
    checkLocalTransaction: ({ transactionId }) => (saved.has(transactionId!) ? "COMMIT" : "ROLLBACK"),
  });
  for (const outcome of ["paid", "refused", "crashed"]) {
    const message = { topic: "orders", body: `order, ${outcome}` };
    const { localTransactionState } = await checkout.sendMessageInTransaction(message, outcome);
    log(`${outcome}: ${localTransactionState}`);
  }
  await until(() => packed.length === 2);
  log(`packed: ${packed.sort().join("; ")}`);
}

// Output:
// paid: COMMIT
// refused: ROLLBACK
// crashed: UNKNOWN
// packed: order, crashed; order, paid
