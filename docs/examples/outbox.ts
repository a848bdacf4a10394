import { openDB } from "idb";
import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace });
  // The application's own database. Native IndexedDB does as well.
  const db = await openDB(`shop-${namespace}`, 1, {
    upgrade(created) {
      created.createObjectStore("orders", { keyPath: "id" });
      created.createObjectStore("outbox", { autoIncrement: true });
    },
  });
  const outbox = await mq.outbox(db, "outbox");
  const got: string[] = [];
  await mq.createPushConsumer({
    consumerGroup: "server",
    subscriptions: { orders: "*" },
    messageListener: (message) => void got.push(message.text()),
  });

  for (const order of [{ id: 1, what: "tea" }, { id: 2, what: "milk" }]) {
    const tx = db.transaction(["orders", "outbox"], "readwrite");
    const put = tx.objectStore("orders").put(order);
    outbox.add(tx, { topic: "orders", body: order.what }); // Both or neither, also without a broker.
    if (order.id === 2) tx.abort();
    await Promise.all([put, tx.done]).catch(() => log(`order ${order.id} was taken back`));
  }
  await until(async () => got.length > 0 && (await outbox.pending()) === 0);
  log(`sent: ${got.join()}; orders kept: ${await db.count("orders")}`);
  db.close();
}

// Output:
// order 2 was taken back
// sent: tea; orders kept: 1
