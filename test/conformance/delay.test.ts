import { describe, expect, test } from "vitest";
import { ScheduleService, type ScheduleServices } from "../../src/broker/schedule.ts";
import { DEFAULT_DELAY_LEVELS, parseDelayLevels } from "../../src/index.ts";
import { DEFAULT_MESSAGE_DELAY_LEVEL } from "../../src/model/delay-level.ts";
import { readRecallHandle, recallHandle, timerDue } from "../../src/model/timer.ts";
import table from "./data/delay.json" with { type: "json" };

/** ms is a unit here, which RocketMQ does not know. */
const DEVIATIONS = new Map([["100ms", [100]]]);

describe("parse", () => {
  test.each(table.parse)("row $id: $levels", ({ levels, valid, table: expected }) => {
    const deviation = DEVIATIONS.get(levels);
    if (deviation !== undefined) return expect(parseDelayLevels(levels)).toEqual(deviation);
    if (!valid) return expect(() => parseDelayLevels(levels)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "messageDelayLevel" }));
    expect(Object.fromEntries(parseDelayLevels(levels).map((delay, at) => [at + 1, delay]))).toEqual(expected);
  });

  test.each(["", " ", "1s  2s", "s", "1.5s", "1s\t2s", "99999999999999999999d", "٣s"])("refused: %j", (levels) => {
    expect(() => parseDelayLevels(levels)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
  });

  test("the default is the table's first row; there is an end to how many levels there can be", () => {
    expect(DEFAULT_DELAY_LEVELS).toEqual(parseDelayLevels(table.parse[0]!.levels));
    expect(parseDelayLevels("1s ".repeat(128))).toHaveLength(128);
    expect(() => parseDelayLevels("1s ".repeat(129))).toThrow(/128 are allowed/);
  });
});

describe("deliver", () => {
  const schedule = new ScheduleService({ settings: { messageDelayLevel: DEFAULT_MESSAGE_DELAY_LEVEL }, topics: { ensure: () => {} } } as unknown as ScheduleServices);

  test.each(table.deliver)("row $id: level $level", ({ level, storeTimestamp, expected }) => {
    const place = schedule.divert({ topic: "T", queueId: 3, reconsumeTimes: 0, properties: { DELAY: `${level}` } });
    if (!expected.delayed) return expect(place).toBeNull();
    expect(place).toMatchObject({ topic: expected.topic, queueId: expected.queueId });
    expect(place!.properties).toEqual({ DELAY: `${expected.effectiveLevel}`, [expected.realTopicProperty!]: "T", [expected.realQueueProperty!]: "3" });
    expect(storeTimestamp + schedule.delayLevels[place!.queueId]!).toBe(expected.deliverTimestamp);
  });
});

describe("timer", () => {
  const TICK = 1000;
  /** RocketMQ's wheel turns once a second: what is due on the second goes into the tick before. Ours are due to the ms. */
  const ticked = (due: number): number => (due % TICK === 0 ? due - TICK : due - (due % TICK));
  /** There is no switch that turns timers off: timerMaxDelay 0 would. */
  const NO_SWITCH = 23;
  const MAX_DELAY = 259_200_000;

  test.each(table.timer)("row $id: $properties", ({ id, now, properties, config, expected }) => {
    const given = properties as unknown as Record<string, string>;
    if (id === NO_SWITCH) return expect(expected.status).toBe("WHEEL_TIMER_NOT_ENABLE");
    const maxDelay = config !== undefined && "maxSec" in config ? config.maxSec! * 1000 : MAX_DELAY;
    if (expected.kind === "rejected") return expect(() => timerDue(given, now, maxDelay)).toThrow(expect.objectContaining({ code: "MESSAGE_ILLEGAL" }));
    const due = timerDue(given, now, maxDelay);
    if (expected.kind === "normal") return expect(due).toBeNull();
    expect(ticked(due!)).toBe(expected.timerOutMs);
    const handle = recallHandle({ topic: "T", brokerName: "broker-a", due: expected.timerOutMs!, msgId: "x" });
    expect(Buffer.from(handle, "base64url").toString()).toBe(`v1 T broker-a ${expected.recallTimestamp} x`);
    expect(readRecallHandle(handle).due).toBe(expected.timerOutMs);
  });

  test("to the ms, which RocketMQ's are not", () => {
    expect(timerDue({ TIMER_DELAY_MS: "1500" }, 1_700_000_000_500, MAX_DELAY)).toBe(1_700_000_002_000);
    expect(timerDue({ TIMER_DELAY_MS: "1" }, 7, MAX_DELAY)).toBe(8);
    expect(timerDue({ TIMER_DELAY_SEC: "1", TIMER_DELAY_MS: "1", TIMER_DELIVER_MS: "1" }, 7, MAX_DELAY)).toBe(1007);
  });
});
