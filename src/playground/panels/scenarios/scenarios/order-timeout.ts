import type { Stage } from "../stage.ts";

export const parameters = { messages: [12, 24, 8], patience: [4000, 8000, 1000] };

export async function run(stage: Stage<"order-timeout">, { messages, patience }: { messages: number; patience: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "unpaid" });
  const timers = async () => (await stage.mq.diagnostics()).broker.timers.pending;
  const shop = await stage.tab("shop");
  const clerk = await stage.tab("clerk");
  const producer = await shop.createProducer({ producerGroup: "shop" });

  // When its time is up, an order that nobody has paid is cancelled.
  const due = new Map<string, number>();
  const cancelled: string[] = [];
  let earliest = Number.POSITIVE_INFINITY;
  await clerk.createPushConsumer({
    consumerGroup: "clerk",
    subscriptions: { unpaid: "*" },
    messageListener: ({ keys: [order = ""] }) => {
      const late = Date.now() - due.get(order)!;
      earliest = Math.min(earliest, late);
      cancelled.push(order);
      stage.log("clerk", `${order} is cancelled, ${late} ms late`);
    },
  });

  await stage.step("order");
  const handles: string[] = [];
  for (let order = 1; order <= messages; order++) {
    due.set(`o-${order}`, Date.now() + patience);
    const { recallHandle } = await producer.send({ topic: "unpaid", body: { order }, keys: `o-${order}`, deliverAfter: patience });
    handles.push(recallHandle!);
    await stage.pause(100);
  }
  const waiting = await timers();
  stage.log("shop", `${waiting} orders wait for their payment`);

  await stage.step("pay");
  let recalled = 0;
  for (const [at, handle] of handles.entries()) {
    if (at % 2 === 1) continue;
    recalled += (await producer.recall(handle)).recalled ? 1 : 0;
    stage.log("shop", `o-${at + 1} is paid`);
  }

  await stage.step("timeout");
  await stage.until(async () => cancelled.length === messages - recalled && (await timers()) === 0);
  await stage.pause(1000);

  await stage.step("result");
  const { queues } = await admin.topicStats("unpaid");
  stage.check("waited", waiting, messages);
  stage.check("recalled", recalled, messages / 2);
  stage.check("delivered", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages / 2);
  stage.check("early", earliest, { least: 0 });
  stage.check("left", await timers(), 0);
}
