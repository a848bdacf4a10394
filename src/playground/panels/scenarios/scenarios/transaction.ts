import type { MessageExt } from "../../../../index.ts";
import type { Stage } from "../stage.ts";

// The first check comes after 6 s, the next ones 30 s after each other; here they are in more of a hurry.
export const broker = { transactionTimeout: 1000, transactionCheckInterval: 500 };

export async function run(stage: Stage<"transaction">): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "orders", messageType: "TRANSACTION" });
  const halves = async () => (await stage.mq.diagnostics()).broker.transactions.pending;
  const visible = async () => (await admin.topicStats("orders")).queues.reduce((sum, queue) => sum + queue.maxOffset, 0);
  // The application's own database, which all of its tabs see.
  const saved = new Set<string>();
  const packed: string[] = [];
  let checks = 0;

  const warehouse = await stage.tab("warehouse");
  await warehouse.createPushConsumer({ consumerGroup: "warehouse", subscriptions: { orders: "*" }, messageListener: ({ keys: [order = ""] }) => void packed.push(order) });

  await stage.step("crash");
  const phone = await stage.tab("phone");
  const checkLocalTransaction = ({ transactionId, keys: [order = ""] }: MessageExt) => {
    checks++;
    const state = saved.has(transactionId!) ? "COMMIT" : "ROLLBACK";
    stage.log("desk")`is asked about ${order}: ${state}`;
    return state;
  };
  const onPhone = await phone.createTransactionProducer({
    producerGroup: "checkout",
    checkLocalTransaction,
    executeLocalTransaction: async (_message, _order, { transactionId }): Promise<"COMMIT"> => {
      saved.add(transactionId);
      stage.log("phone")`has saved o-1, and crashes before it can say so`;
      await stage.crash(phone);
      return "COMMIT"; // Nobody hears it.
    },
  });
  onPhone.sendMessageInTransaction({ topic: "orders", body: { order: 1 }, keys: "o-1" }).catch(() => {});
  await stage.until(() => saved.size === 1);

  await stage.step("hidden");
  await stage.pause(2500);
  const [halvesThen, visibleThen] = [await halves(), await visible()];

  await stage.step("check");
  const desk = await stage.tab("desk");
  const onDesk = await desk.createTransactionProducer({ producerGroup: "checkout", checkLocalTransaction, executeLocalTransaction: () => "ROLLBACK" });
  await stage.until(() => packed.includes("o-1"));
  await stage.pause(1000);

  await stage.step("rollback");
  const { localTransactionState } = await onDesk.sendMessageInTransaction({ topic: "orders", body: { order: 2 }, keys: "o-2" });
  stage.log("desk")`o-2 could not be saved: ${localTransactionState}`;
  await stage.until(async () => (await halves()) === 0);
  await stage.pause(1000);

  await stage.step("result");
  stage.check("half", halvesThen, 1);
  stage.check("hidden", visibleThen, 0);
  stage.check("checked", checks, { least: 1 });
  stage.check("visible", await visible(), 1);
  stage.check("packed", packed.join(" "), "o-1");
  stage.check("left", await halves(), 0);
}
