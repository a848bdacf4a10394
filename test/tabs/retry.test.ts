import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

/** The third level is that of the first retry, and all that follow take the last. */
const LEVELS = "1ms 1ms 150ms 200ms";
const RETRIES = 4;

/** A tab whose listener consumes no bad message; it tells each try. */
async function failing(): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace: "poison", broker: { defaultTopicQueueNums: 1, messageDelayLevel: LEVELS } });
  await tab.run(async (side, maxReconsumeTimes) => {
    side.consumer = await side.mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes,
      messageListener: async (message) => {
        const { topic, queueId, queueOffset, msgId } = message;
        const content = `${message.text()} ${message.reconsumeTimes}`;
        await side.report({ kind: "delivered", messages: [{ consumer: side.mq.clientId, topic, queueId, queueOffset, msgId, content }] });
        if (message.text() === "bad") throw new Error(`no, for the ${message.reconsumeTimes + 1}. time`);
      },
    });
    side.consumer.on("error", () => {});
  }, RETRIES);
  return tab;
}

test("a message that nobody consumes ends among the dead letters, though tabs close between its tries; the others are consumed once", async () => {
  const sender = await house.tab();
  await sender.connect({ namespace: "poison", broker: { defaultTopicQueueNums: 1, messageDelayLevel: LEVELS } });
  const tries = (content: string): number => house.history.delivered.filter((message) => message.content === content).length;
  let consumer = await failing();
  await sender.send("t", ["good", "bad", "fine"]);
  for (let times = 0; times < RETRIES; times++) {
    await until(() => tries(`bad ${times}`) > 0);
    // The next one is there when this one goes, whatever this one was about to say.
    const next = await failing();
    await consumer.page.close();
    consumer = next;
  }
  const letters = (): Promise<{ text: string; msgId: string; times: number; error: string | undefined; origin: string | undefined }[]> =>
    sender.run(async ({ mq }) => (await mq.admin.deadLetters("g")).map((message) => ({
      text: message.text(), msgId: message.msgId, times: message.reconsumeTimes, error: message.properties["DLQ_ERROR"], origin: message.properties["DLQ_ORIGIN_TOPIC"],
    })));
  await until(async () => (await letters()).length > 0);
  const [letter, ...more] = await letters();
  expect(more).toEqual([]);
  expect(letter).toEqual({ text: "bad", msgId: expect.any(String), times: RETRIES + 1, error: `no, for the ${RETRIES + 1}. time`, origin: "t" });
  // A tab that was closed before its answer was stored leaves the try to the next one.
  for (let times = 0; times <= RETRIES; times++) expect(tries(`bad ${times}`)).toBeGreaterThan(0);
  expect([tries("good 0"), tries("fine 0")]).toEqual([1, 1]);

  const before = tries("bad 0");
  const { resent } = await sender.run(({ mq }) => mq.admin.resendDeadLetters({ group: "g" }));
  expect(resent).toEqual([letter!.msgId]);
  await until(() => tries("bad 0") > before);
});
