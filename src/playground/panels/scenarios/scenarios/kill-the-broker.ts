import type { Message, MQError, SendResult } from "../../../../index.ts";
import type { Stage } from "../stage.ts";

export const parameters = { messages: [120, 300, 60], kills: [3, 6, 1] };
/** No page can end a SharedWorker. For this story the same broker runs in a Worker, which a page can end at any moment. */
export const hasOwnBroker = true;

export async function run(stage: Stage<"kill-the-broker">, { messages, kills }: { messages: number; kills: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "orders" });
  const epoch = async () => (await stage.mq.diagnostics()).broker.epoch;
  const before = await epoch();
  const shop = await stage.tab("shop");
  const packer = await stage.tab("packer");

  const [packed, acknowledged] = [new Set<string>(), new Set<string>()];
  await packer.createPushConsumer({
    consumerGroup: "packers",
    subscriptions: { orders: "*" },
    messageListener: async ({ msgId }) => {
      await stage.pause(20);
      packed.add(msgId);
    },
  });
  shop.on("disconnected", () => stage.log("shop")`has lost its broker, and goes on taking orders: ${acknowledged.size} are stored`);

  await stage.step("send");
  const producer = await shop.createProducer({ producerGroup: "shop", sendMsgTimeout: 10_000 });
  // Nobody knows whether it was stored? The same object again: it is stored once.
  const store = async (message: Message): Promise<SendResult> => {
    for (;;) {
      try {
        return await producer.send(message);
      } catch (error) {
        if (!(error as MQError).retriable) throw error;
      }
    }
  };
  const sending = Array.from({ length: messages }, async (_, order) => {
    await stage.pause(order * 60);
    const { msgId } = await store({ topic: "orders", body: { order }, keys: `o-${order}` });
    acknowledged.add(msgId);
  });

  void stage.step("kill");
  for (let kill = 1; kill <= kills; kill++) {
    await stage.until(() => acknowledged.size >= (messages * kill) / (kills + 1));
    stage.killBroker();
    stage.log("stage")`the broker is killed`;
    stage.log("stage")`the next one serves: epoch ${await epoch()}`;
  }

  await stage.step("finish");
  await Promise.all(sending);
  await stage.until(async () => (await admin.consumeStats("packers")).diffTotal === 0);

  await stage.step("result");
  const stored: string[] = [];
  const reader = await stage.mq.createPullConsumer({ consumerGroup: "reader" });
  for (const queue of await reader.fetchQueues("orders")) {
    const { messages: found } = await reader.pull(queue, "*", 0, 1000);
    stored.push(...found.map(({ msgId }) => msgId));
  }
  stage.check("deaths", (await epoch()) - before, kills);
  stage.check("acknowledged", acknowledged.size, messages);
  stage.check("lost", [...acknowledged].filter((msgId) => !stored.includes(msgId)).length, 0);
  stage.check("twice", stored.length - new Set(stored).size, 0);
  stage.check("packed", stored.filter((msgId) => packed.has(msgId)).length, messages);
}
