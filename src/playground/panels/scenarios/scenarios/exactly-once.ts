import type { Stage } from "../stage.ts";

export const parameters = { messages: [60, 200, 24] };

export async function run(stage: Stage<"exactly-once">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  for (const topic of ["payments", "receipts"]) await admin.createTopic({ topic });
  const stored = async (topic: string) => (await admin.topicStats(topic)).queues.reduce((sum, queue) => sum + queue.maxOffset, 0);
  let calls = 0;
  let isStuck = false;

  const work = async (name: string) => {
    const tab = await stage.tab(name);
    await tab.createPushConsumer({
      consumerGroup: "till",
      subscriptions: { payments: "*" },
      // What has been done for a key is not done again, whichever tab gets it.
      idempotent: { key: ({ keys }) => keys[0]! },
      consumeConcurrency: 3,
      messageListener: async ({ keys: [payment = ""] }, context) => {
        calls++;
        await stage.pause(200);
        // One of the tills stops in the middle of its work.
        if (name === "till-1" && calls > messages / 4) {
          isStuck = true;
          await new Promise(() => {});
        }
        // Stored together with the acknowledgement of the payment, or not at all.
        context.send({ topic: "receipts", body: { payment }, keys: payment });
      },
    });
    return tab;
  };
  const first = await work("till-1");
  await work("till-2");

  await stage.step("twice");
  const shop = await stage.mq.createProducer({ producerGroup: "shop" });
  const pay = (payment: number) => shop.send({ topic: "payments", body: { payment }, keys: `pay-${payment}` });
  // An impatient customer presses the button twice: two messages, one payment.
  for (let payment = 0; payment < messages; payment++) await Promise.all([pay(payment), pay(payment)]);

  void stage.step("crash");
  await stage.until(async () => isStuck || (await stored("receipts")) === messages);
  await stage.crash(first);
  stage.log("till-1")`crashes with payments in its hands`;

  await stage.step("finish");
  await stage.until(async () => (await admin.consumeStats("till")).diffTotal === 0);
  stage.log("till-2")`all done, in ${calls} calls of the listener`;

  await stage.step("result");
  const receipts = new Set<string>();
  const reader = await stage.mq.createPullConsumer({ consumerGroup: "reader" });
  for (const queue of await reader.fetchQueues("receipts")) {
    const { messages: found } = await reader.pull(queue, "*", 0, 1000);
    for (const { keys } of found) receipts.add(keys[0]!);
  }
  stage.check("sent", await stored("payments"), 2 * messages);
  stage.check("receipts", await stored("receipts"), messages);
  stage.check("different", receipts.size, messages);
  stage.check("calls", calls, { most: 2 * messages - 1 });
  stage.check("left", (await admin.consumeStats("till")).diffTotal, 0);
}
