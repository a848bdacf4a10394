import type { Stage } from "../stage.ts";

export const parameters = { messages: [80, 200, 40] };

export async function run(stage: Stage<"order">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  const customers = ["ann", "bob", "eva", "mia"];
  // Each customer's moves stay in order among themselves; the audit has one queue, so all of it is in order.
  await admin.createTopic({ topic: "moves", messageType: "FIFO" });
  await admin.createTopic({ topic: "audit", readQueueNums: 1, writeQueueNums: 1 });

  const seen = new Map<string, number[]>();
  const workers = new Set<string>();
  for (const name of ["bank-1", "bank-2"]) {
    const tab = await stage.tab(name);
    await tab.createPushConsumer({
      consumerGroup: "bank",
      subscriptions: { moves: "*", audit: "*" },
      orderly: true,
      suspendCurrentQueueTime: 300,
      messageListener: async (message, { attempt }) => {
        const { who, step } = message.json<{ who: string; step: number }>();
        await stage.pause(Math.random() * 60);
        if (who === "ann" && step === 2 && attempt === 1) {
          stage.log(name)`ann's move 2 fails: her queue rests, the others go on`;
          throw new Error("no answer from the bank");
        }
        workers.add(name);
        seen.set(who, [...(seen.get(who) ?? []), step]);
      },
    });
  }

  const owners = async () => new Set((await admin.consumeStats("bank")).queues.filter(({ topic }) => topic === "moves").map(({ clientId }) => clientId));
  await stage.until(async () => (await owners()).has("bank-1") && (await owners()).has("bank-2"));

  await stage.step("send");
  const producer = await stage.mq.createProducer({ producerGroup: "branch" });
  for (let at = 0; at < messages; at++) {
    const who = customers[at % customers.length]!;
    const step = Math.floor(at / customers.length);
    await producer.send({ topic: "moves", body: { who, step }, keys: `${who}-${step}`, messageGroup: who });
    await producer.send({ topic: "audit", body: { who: "audit", step: at }, keys: `${at}`, tags: who });
  }

  await stage.step("consume");
  await stage.until(async () => (await admin.consumeStats("bank")).diffTotal === 0);

  await stage.step("result");
  const disorder = (steps: number[] = []) => steps.filter((step, at) => step !== at).length;
  const stored = async (topic: string) => (await admin.topicStats(topic)).queues.reduce((sum, queue) => sum + queue.maxOffset, 0);
  stage.check("stored", (await stored("moves")) + (await stored("audit")), 2 * messages);
  stage.check("partial", customers.reduce((sum, who) => sum + disorder(seen.get(who)), 0), 0);
  stage.check("global", disorder(seen.get("audit")), 0);
  stage.check("tabs", workers.size, 2);
}
