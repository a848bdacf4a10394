import type { Stage } from "../stage.ts";

export const parameters = { messages: [800, 2000, 400] };

export async function run(stage: Stage<"backlog">, { messages }: { messages: number }): Promise<void> {
  const { admin } = stage.mq;
  await admin.createTopic({ topic: "pictures", readQueueNums: 6, writeQueueNums: 6 });
  const lag = async () => (await admin.consumeStats("resize")).diffTotal;
  const owners = async () => new Set((await admin.consumeStats("resize")).queues.flatMap(({ topic, clientId = [] }) => (topic === "pictures" ? clientId : [])));
  const done = new Map<string, string[]>();

  const work = async (name: string) => {
    const tab = await stage.tab(name);
    await tab.createPushConsumer({
      consumerGroup: "resize",
      subscriptions: { pictures: "*" },
      // Nobody was there when they were sent: begin with the first one.
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      consumeConcurrency: 4,
      pullThresholdForQueue: 10,
      messageListener: async ({ msgId }) => {
        await stage.pause(100);
        done.set(msgId, [...(done.get(msgId) ?? []), name]);
      },
    });
    stage.log(name)`begins; ${await lag()} pictures wait`;
  };

  await stage.step("pile");
  const producer = await stage.mq.createProducer({ producerGroup: "camera" });
  const pictures = Array.from({ length: messages }, (_, picture) => ({ topic: "pictures", body: { picture } }));
  const send = (some: typeof pictures) => Promise.all(some.map((picture) => producer.send(picture)));
  const most = messages * 0.75;
  await send(pictures.slice(0, most));
  await stage.pause(1000);

  const { queues: piled } = await admin.topicStats("pictures");
  const peak = piled.reduce((sum, queue) => sum + queue.maxOffset, 0);

  await stage.step("one");
  await work("worker-1");
  await stage.until(() => done.size > messages / 8);

  void stage.step("three");
  await Promise.all([work("worker-2"), work("worker-3")]);
  await stage.until(async () => (await owners()).size === 3);
  stage.log("camera")`sends the rest`;
  await send(pictures.slice(most));
  await stage.until(async () => (await lag()) === 0);

  await stage.step("result");
  const { queues } = await admin.topicStats("pictures");
  const each = [...done.values()];
  stage.check("stored", queues.reduce((sum, queue) => sum + queue.maxOffset, 0), messages);
  stage.check("peak", peak, most);
  stage.check("left", await lag(), 0);
  stage.check("once", each.filter((names) => names.length === 1).length, messages);
  stage.check("workers", new Set(each.flat()).size, 3);
}
