import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log, until }: Live) {
  const mq = await connect({ namespace, broker: { messageDelayLevel: "10ms 10ms 10ms" } });
  const server = new Map<string, string>(); // What it has taken, by idempotency key.
  let failures = 1;
  const post = async (key: string, what: string): Promise<number> => {
    if (failures-- > 0) return 503;
    if (what === "nothing") return 422;
    server.set(key, what);
    return 201;
  };

  const sender = await mq.createPushConsumer({
    consumerGroup: "server",
    subscriptions: { orders: "*" },
    messageListener: async (message, context) => {
      // The same msgId in each try: the server takes it once.
      const status = await post(message.msgId, message.text());
      if (status === 201) return;
      // It will never be taken: a dead letter, at once.
      if (status < 500) context.delayLevelWhenNextConsume = -1;
      throw new Error(`the server said ${status}`);
    },
  });
  sender.suspend(); // addEventListener("offline", …)
  const producer = await mq.createProducer({ producerGroup: "shop" });
  for (const body of ["tea", "nothing"]) await producer.send({ topic: "orders", body });
  log(`offline: ${server.size} sent, ${(await mq.admin.consumeStats("server")).diffTotal} waiting`);

  sender.resume(); // addEventListener("online", …)
  await until(async () => server.size === 1 && (await mq.admin.deadLetters("server")).length === 1);
  const [letter] = await mq.admin.deadLetters("server");
  log(`online: sent ${[...server.values()].join()}`);
  log(`refused: ${letter!.text()}, because ${letter!.properties["DLQ_ERROR"]}`);
}

// Output:
// offline: 0 sent, 2 waiting
// online: sent tea
// refused: nothing, because the server said 422
