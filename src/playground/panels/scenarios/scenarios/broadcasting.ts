import type { Stage } from "../stage.ts";

export const parameters = { messages: [30, 100, 12] };

export async function run(stage: Stage<"broadcasting">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "prices" });
  const producer = await stage.mq.createProducer({ producerGroup: "exchange" });
  const names = ["screen-1", "screen-2", "screen-3"];
  const shown = new Map(names.map((name) => [name, [] as string[]]));

  const open = async (name: string) => {
    const tab = await stage.tab(name);
    await tab.createPushConsumer({
      consumerGroup: "screens",
      messageModel: "BROADCASTING",
      subscriptions: { prices: "*" },
      messageListener: ({ keys: [price = ""] }) => void shown.get(name)!.push(price),
    });
    return tab;
  };
  const send = async (from: number, to: number) => {
    for (let price = from; price < to; price++) {
      await producer.send({ topic: "prices", body: { price }, keys: `p-${price}` });
      await stage.pause(60);
    }
  };
  const haveAll = (count: number) => [...shown.values()].every((prices) => prices.length >= count);

  await stage.step("all");
  const [, second] = [await open("screen-1"), await open("screen-2"), await open("screen-3")];
  await send(0, messages / 2);
  await stage.until(() => haveAll(messages / 2));

  await stage.step("away");
  await second.close();
  stage.log("screen-2")`is closed`;
  await send(messages / 2, messages);
  const missed = messages - shown.get("screen-2")!.length;

  await stage.step("back");
  await open("screen-2");
  stage.log("screen-2")`is there again under its name`;
  await stage.until(() => haveAll(messages));
  await stage.pause(500);

  await stage.step("result");
  const { queues } = await admin.topicStats("prices");
  const { connections } = await admin.consumerConnections("screens");
  stage.check("stored", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages);
  stage.check("screens", connections.filter(({ messageModel }) => messageModel === "BROADCASTING").length, names.length);
  stage.check("missed", missed, messages / 2);
  stage.check("each", Math.min(...[...shown.values()].map((prices) => new Set(prices).size)), messages);
  stage.check("twice", [...shown.values()].reduce((sum, prices) => sum + prices.length - new Set(prices).size, 0), 0);
}
