import type { Stage } from "../stage.ts";

export const parameters = { messages: [60, 200, 24] };

export async function run(stage: Stage<"replay">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "sales" });
  const producer = await stage.mq.createProducer({ producerGroup: "shop" });
  const sell = async (count: number) => {
    const sold: string[] = [];
    for (let sale = 0; sale < count; sale++) {
      const { msgId } = await producer.send({ topic: "sales", body: { cents: 250 }, keys: `s-${sale}` });
      sold.push(msgId);
      await stage.pause(30);
    }
    return sold;
  };
  const caughtUp = () => stage.until(async () => (await admin.consumeStats("report")).diffTotal === 0);

  // Somebody made a mistake: cents are counted as euros.
  let hasBug = true;
  let [total, sales] = [0, 0];
  const office = await stage.tab("office");
  await office.createPushConsumer({
    consumerGroup: "report",
    subscriptions: { sales: "*" },
    messageListener: (message) => {
      const { cents } = message.json<{ cents: number }>();
      total += hasBug ? cents : cents / 100;
      sales++;
    },
  });

  await stage.step("before");
  await sell(messages / 2);
  await stage.pause(1000);

  await stage.step("yesterday");
  const [first] = await sell(messages / 2);
  // Some seconds ago: nobody wants to wait for a day.
  const { storeTimestamp: yesterday } = await admin.viewMessage(first!);
  await caughtUp();
  stage.log("office")`${sales} sales, ${total} euros: that cannot be`;
  await stage.pause(1500);

  await stage.step("reset");
  [hasBug, total, sales] = [false, 0, 0];
  const places = await admin.resetOffset({ group: "report", topic: "sales", timestamp: yesterday });
  stage.log("office")`begins again at the offsets ${places.map(({ offset }) => offset).join(", ")}`;
  await stage.until(() => sales >= messages / 2);
  await caughtUp();
  await stage.pause(500);

  await stage.step("result");
  const { queues } = await admin.topicStats("sales");
  stage.log("office")`${sales} sales, ${total} euros`;
  stage.check("stored", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages);
  stage.check("skipped", places.reduce((sum, { offset }) => sum + offset, 0), messages / 2);
  stage.check("replayed", sales, messages / 2);
  stage.check("total", total, (messages / 2) * 2.5);
  stage.check("left", (await admin.consumeStats("report")).diffTotal, 0);
}
