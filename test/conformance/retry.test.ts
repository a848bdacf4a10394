import { describe, expect, test } from "vitest";
import { retryDelay } from "../../src/index.ts";
import { MAX_RECONSUME_TIMES, type RetryPolicy, retryPolicyDelay, sendBack } from "../../src/model/retry.ts";
import table from "./data/retry.json" with { type: "json" };

describe("schedule", () => {
  test.each(table.schedule)("retry $retry", (row) => {
    expect(retryDelay(row.reconsumeTimesBefore)).toEqual({ level: row.delayLevel, delay: row.delayMs });
    const sent = sendBack({ group: "g", reconsumeTimes: row.reconsumeTimesBefore, delayLevel: 0, maxReconsumeTimes: MAX_RECONSUME_TIMES });
    expect(sent).toEqual({ topic: row.destinationTopic, delayLevel: row.delayLevel, delay: row.delayMs, reconsumeTimes: row.reconsumeTimesAfter });
    const before = Array.from({ length: row.retry }, (_, times) => retryDelay(times).delay);
    expect(before.reduce((sum, delay) => sum + delay)).toBe(row.cumulativeDelayMs);
  });

  test("after it", () => {
    const { reconsumeTimes, topic, totalDelayMs, totalDeliveries } = table.afterSchedule;
    expect(sendBack({ group: "g", reconsumeTimes, delayLevel: 0, maxReconsumeTimes: MAX_RECONSUME_TIMES })).toMatchObject({ topic, delay: 0 });
    expect(totalDeliveries).toBe(MAX_RECONSUME_TIMES + 1);
    const delays = Array.from({ length: MAX_RECONSUME_TIMES }, (_, times) => retryDelay(times).delay);
    expect(delays.reduce((sum, delay) => sum + delay)).toBe(totalDelayMs);
  });
});

describe("sendBack", () => {
  // `retryQueueNums` is always 1 here, and `stored` always true: a group that may not retry and drops what fails is not built.
  test.each(table.sendBack)("row $id $note", ({ input, expected: { stored, topic, delayLevel, delayMs, reconsumeTimesAfter } }) => {
    expect(sendBack(input)).toEqual({ topic, delayLevel, delay: delayMs, reconsumeTimes: reconsumeTimesAfter });
    expect({ retryQueueNums: input.retryQueueNums, stored }).toEqual({ retryQueueNums: 1, stored: true });
  });

  test("control: without the cap on levels a row is red", () => {
    const [row] = table.sendBack.filter(({ input }) => input.delayLevel === 100);
    const longer = Array.from({ length: 128 }, (_, at) => at);
    expect(sendBack({ ...row!.input, delayLevels: longer }).delayLevel).not.toBe(row!.expected.delayLevel);
  });
});

describe("policy", () => {
  test.each(table.policy)("row $id", ({ policy, reconsumeTimes, nextDelayMs }) => {
    expect(retryPolicyDelay(policy as RetryPolicy, reconsumeTimes)).toBe(nextDelayMs);
  });
});
