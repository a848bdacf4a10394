import { afterEach, describe, expect, test } from "vitest";
import { lost } from "../support/history.ts";
import { House, type Tab } from "../support/house.ts";

const MESSAGES = 100_000;
const ROUNDS = 5;

let house: House;
afterEach(() => house.end());

/** 100,000 messages of 100 bytes; the acknowledgements of the last of each thousand are kept. */
async function fill(tab: Tab): Promise<void> {
  await tab.createTopic("many", 4);
  await tab.run(async ({ producer }, count) => {
    const body = "x".repeat(100);
    for (let at = 0; at < count; at += 10_000) await Promise.all(Array.from({ length: 10_000 }, () => producer.send({ topic: "many", body })));
  }, MESSAGES);
}

/** From the death until the first call that another tab makes is answered, ms. */
async function firstAnswer(tab: Tab, die: () => Promise<unknown>): Promise<number> {
  const before = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch);
  // In the page, because a round trip through the debugger costs as much; it begins before the death and so counts too much.
  const answered = tab.run(async ({ mq }, epoch) => {
    const began = performance.now();
    let last = began;
    for (;;) {
      const { broker } = await mq.diagnostics();
      if (broker.epoch > epoch) return performance.now() - last;
      last = performance.now();
    }
  }, before);
  await die();
  return answered;
}

const median = (figures: number[]): number => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)]!;

// A figure, which belongs to a machine, and minutes of filling.
describe.runIf(process.env.TABMQ_LONG)(`the broker dies with ${MESSAGES} messages stored`, { timeout: 600_000 }, () => {
  test("the next one answers within a second", async () => {
    house = await House.open();
    const tab = await house.tab();
    await tab.connect({ namespace: "many" });
    await fill(tab);
    const acked = await tab.send("many", ["the last one"]);
    const [byTarget, byCrash]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      byTarget.push(await firstAnswer(tab, () => house.closeWorkers("/dist/worker.js")));
      // The next worker shall live in a tab that can crash: that of whoever asks for it first.
      await tab.run(({ mq }) => mq.close());
      await house.closeWorkers("/dist/worker.js");
      const creator = await house.tab();
      await creator.connect({ namespace: "many" });
      await tab.connect({ namespace: "many" });
      byCrash.push(await firstAnswer(tab, () => creator.crash()));
      await creator.page.close();
    }
    for (const [how, figures] of Object.entries({ "Target.closeTarget": byTarget, "Page.crash of its tab": byCrash })) {
      console.log(`broker dead by ${how}, ${MESSAGES} messages stored: first answer after ${Math.round(median(figures))} ms (median of ${figures.map(Math.round).join(", ")})`);
    }
    const stored = await tab.run(async ({ mq }) => (await mq.admin.topicStats("many")).queues.reduce((sum, { maxOffset, minOffset }) => sum + maxOffset - minOffset, 0));
    expect(stored).toBe(MESSAGES + 1);
    const last = acked[0]!;
    expect(lost(acked, await tab.readAll("many", { ...Object.fromEntries([0, 1, 2, 3].map((queueId) => [queueId, Number.MAX_SAFE_INTEGER])), [last.queueId]: last.queueOffset }))).toEqual([]);
    // Promised is every time, not most of the time.
    for (const figure of [...byTarget, ...byCrash]) expect(figure).toBeLessThan(1000);
  });
});
