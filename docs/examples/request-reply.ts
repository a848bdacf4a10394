import { connect, MQError } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const [asker, answerer] = [await connect({ namespace }), await connect({ namespace })];
  const producer = await asker.createProducer({ producerGroup: "shop" });

  const ask = () => producer.request({ topic: "prices", body: { item: 7 } }, { timeout: 60_000 });
  try {
    await ask();
  } catch (error) {
    if (error instanceof MQError) log(`${error.code}: nobody listens, told at once`);
  }

  await answerer.createPushConsumer({
    consumerGroup: "pricing",
    subscriptions: { prices: "*" },
    messageListener: async (message, context) => {
      const { item } = message.json<{ item: number }>();
      await context.reply({ item, price: 12 });
    },
  });
  log(`the reply: ${(await ask()).text()}`);
}

// Output:
// CONSUMER_NOT_ONLINE: nobody listens, told at once
// the reply: {"item":7,"price":12}
