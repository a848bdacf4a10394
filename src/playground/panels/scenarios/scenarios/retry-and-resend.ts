import type { Stage } from "../stage.ts";

// RocketMQ waits 10 s before the first retry, then 30 s, then a minute …: too long for a story.
export const broker = { messageDelayLevel: "200ms 400ms 600ms 1200ms" };

export async function run(stage: Stage<"retry-and-resend">): Promise<void> {
  const { admin } = stage.mq;
  const shop = await stage.mq.createProducer({ producerGroup: "shop" });
  const till = await stage.tab("till");
  let isMended = false;
  const tries = new Map<string, number>();
  const charged: string[] = [];

  await till.createPushConsumer({
    consumerGroup: "billing",
    subscriptions: { orders: "*" },
    maxReconsumeTimes: 2,
    messageListener: async ({ keys: [order = ""] }, { attempt }) => {
      tries.set(order, attempt);
      // One order fails once; another fails until somebody mends the card reader.
      if ((order === "o-2" && attempt === 1) || (order === "o-5" && !isMended)) {
        stage.log("till")`${order}, try ${attempt}: fails`;
        throw new Error("the card reader is broken");
      }
      charged.push(order);
      stage.log("till")`${order}, try ${attempt}: charged`;
    },
  });

  await stage.step("fail");
  for (let order = 1; order <= 8; order++) await shop.send({ topic: "orders", body: { order }, keys: `o-${order}` });

  await stage.step("dead");
  await stage.until(async () => (await admin.deadLetters("billing")).length === 1);
  const dead = await admin.deadLetters("billing");
  const [letter] = dead;
  stage.log("till")`o-5 is a dead letter: ${letter!.properties.DLQ_ERROR}`;
  const [track] = await admin.messageTrack(letter!.msgId);
  await stage.pause(2000);

  await stage.step("resend");
  isMended = true;
  const { resent } = await admin.resendDeadLetters({ group: "billing" });
  await stage.until(async () => charged.includes("o-5") && (await admin.consumeStats("billing")).diffTotal === 0);

  await stage.step("result");
  stage.check("retried", tries.get("o-2")!, 2);
  stage.check("dead", dead.length, 1);
  stage.check("track", track!.trackType, "DEAD");
  stage.check("resent", resent.length, 1);
  stage.check("left", (await admin.deadLetters("billing")).length, 0);
  stage.check("charged", new Set(charged).size, 8);
}
