import type { Stage } from "../stage.ts";

export const parameters = { messages: [12, 24, 8], patience: [8000, 16_000, 6000] };

export async function run(stage: Stage<"order-timeout">, { messages, patience }: { messages: number; patience: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "unpaid" });
  const timers = async () => (await stage.mq.diagnostics()).broker.timers.pending;
  const shop = await stage.tab("shop");
  const clerk = await stage.tab("clerk");
  const producer = await shop.createProducer({ producerGroup: "shop" });

  // When its time is up, an order that nobody has paid is cancelled.
  const due = new Map<string, number>();
  const [cancelled, paid] = [new Set<string>(), new Set<string>()];
  let earliest = Number.POSITIVE_INFINITY;
  await clerk.createPushConsumer({
    consumerGroup: "clerk",
    subscriptions: { unpaid: "*" },
    messageListener: ({ keys: [order = ""] }) => {
      const late = Date.now() - due.get(order)!;
      earliest = Math.min(earliest, late);
      cancelled.add(order);
      stage.log("clerk")`${order} is cancelled, ${(late / 1000).toFixed(1)} s late`;
    },
  });

  await stage.step("order");
  const handles = new Map<string, string>();
  for (let order = 1; order <= messages; order++) {
    due.set(`o-${order}`, Date.now() + patience);
    const { recallHandle } = await producer.send({ topic: "unpaid", body: { order }, keys: `o-${order}`, deliverAfter: patience });
    handles.set(`o-${order}`, recallHandle!);
    await stage.pause(100);
  }
  stage.log("shop")`${await timers()} orders wait for their payment`;

  await stage.step("pay");
  for (const [at, [order, handle]] of [...handles].entries()) {
    if (at % 2 === 1) continue;
    // Who pays too late is told so: the order is cancelled, or about to be.
    const { recalled } = await producer.recall(handle);
    if (recalled) paid.add(order);
    if (recalled) stage.log("shop")`${order} is paid`;
    else stage.log("shop")`${order} is paid too late`;
  }

  await stage.step("timeout");
  await stage.until(async () => cancelled.size === messages - paid.size && (await timers()) === 0);
  await stage.pause(1000);

  await stage.step("result");
  const { queues } = await admin.topicStats("unpaid");
  stage.check("recalled", paid.size, { least: 1 });
  stage.check("delivered", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages - paid.size);
  stage.check("both", [...paid].filter((order) => cancelled.has(order)).length, 0);
  stage.check("early", earliest, { least: 0 });
  stage.check("left", await timers(), 0);
}
