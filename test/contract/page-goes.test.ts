/** A page is closed or put aside: what it has accepted goes to the broker, which outlives it. */
import { expect, test } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { MAX_IN_FLIGHT_FRAMES } from "../../src/model/limits.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TabOrigin } from "../support/tab-origin.ts";

const COUNT = 700;

async function stored(mq: TabMQ): Promise<string[]> {
  const { queues } = await mq.admin.topicStats("t");
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all = await Promise.all((await pull.fetchQueues("t")).map((queue) => pull.pull(queue, "*", 0, 1024)));
  const texts = all.flatMap(({ messages }) => messages.map((message) => message.text()));
  expect(texts).toHaveLength(queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0));
  return texts;
}

/** A page sends more than may be on its way at a time, and goes: with an event, or without a word. */
async function leaving(how: "hide" | "death", comesBack = false): Promise<string[]> {
  const disk = new MemoryDisk();
  const origin = new TabOrigin(() => new MemoryStore(disk));
  const page = new EventTarget();
  const on = (event: string) => (listener: () => void) => {
    page.addEventListener(event, listener);
    return () => page.removeEventListener(event, listener);
  };
  const work = async (): Promise<string[]> => {
    const other = await origin.connect();
    await other.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
    const mq = await origin.connect({}, { overrides: { page: { onHide: on("hide"), onShow: on("show") } } });
    const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000, retryTimesWhenSendFailed: 20 });
    await producer.send({ topic: "t", body: "first" });
    let acked = 0;
    for (let at = 0; at < COUNT; at++) {
      producer.send({ topic: "t", body: `${at}` }).then(() => acked++, () => {});
      // Each in a frame of its own; no answer can come in between.
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
    expect(acked).toBe(0);
    if (how === "death") origin.killTab(mq);
    page.dispatchEvent(new Event("hide"));
    await origin.time.sleep(5000);
    if (!comesBack) return stored(other);
    page.dispatchEvent(new Event("show"));
    await origin.time.sleep(5000);
    expect(acked).toBe(COUNT);
    return stored(other);
  };
  return origin.time.run(work());
}

test("what waits for its turn is handed over and stored", async () => {
  expect(await leaving("hide")).toHaveLength(COUNT + 1);
});

test("control: of a page that dies without a word only what was on its way is", async () => {
  expect(await leaving("death")).toHaveLength(MAX_IN_FLIGHT_FRAMES + 1);
});

test("a page that comes back sends it again, and it is stored once", async () => {
  const texts = await leaving("hide", true);
  expect(texts).toHaveLength(COUNT + 1);
  expect(new Set(texts).size).toBe(COUNT + 1);
});
