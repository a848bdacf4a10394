import { describe, expect, test } from "vitest";
import { TRANS_CHECK_MAX_TIME_TOPIC } from "../../src/model/system-names.ts";
import { type HalfTimes, judgeHalf, nextRound, refuseEnd, runsLocally, stateOf, type TransactionRules } from "../../src/model/transaction.ts";
import table from "./data/transaction.json" with { type: "json" };

/**
 * Deviations, on purpose: only checks that a member has received count, so a half message inside its immunity time waits
 * where it is (RocketMQ puts it back and counts that); what is given up is rolled back and not left open; UNKNOWN is spelt out.
 */
const EXPECTED_ACTION = new Map([["put-back-immune", "wait"]]);
const SPELT: Record<string, string> = { UNKNOW: "UNKNOWN", COMMIT: "COMMIT", ROLLBACK: "ROLLBACK" };

const DEFAULTS: TransactionRules = { transactionTimeout: 6000, transactionCheckInterval: 30_000, transactionCheckMax: 15, fileReservedTime: 259_200_000 };

function halfOf({ born = 0, store = 0, checkTimes = 0, immunitySec }: { born?: number; store?: number; checkTimes?: number; immunitySec?: string }): HalfTimes {
  return { born, stored: store, checkTimes, checkedAt: store, immunity: immunitySec };
}

describe("check", () => {
  test.each(table.check)("row $id $note", ({ now, half, config, expected }) => {
    // What is decided is no half message any more, and is never judged.
    if ("op" in half && half.op) return expect(expected.action).toBe("done");
    const rules = { ...DEFAULTS, transactionTimeout: config.timeout, transactionCheckMax: config.checkMax, fileReservedTime: config.reservedMs };
    const action = judgeHalf(halfOf(half), now, rules);
    expect(action).toBe(EXPECTED_ACTION.get(expected.action) ?? expected.action);
    if (action === "check") expect((half.checkTimes ?? 0) + 1).toBe(expected.checkTimesAfter);
    if (action === "discard") expect(TRANS_CHECK_MAX_TIME_TOPIC).toBe(expected.topic);
  });

  test.each([
    ["stored just now", { born: 0, store: 10_000 }, 10_000, "wait"],
    ["born in the future", { born: 20_000, store: 0 }, 10_000, "check"],
    ["one ms older than the timeout", { born: 0, store: 0 }, 6001, "check"],
    ["one ms older than its immunity", { born: 0, store: 0, immunitySec: "10" }, 10_001, "check"],
    ["exactly as old as messages are kept", { born: 0, store: 50 }, 259_200_000, "check"],
  ])("%s", (_, half, now, action) => {
    expect(judgeHalf(halfOf(half), now, DEFAULTS)).toBe(action);
  });
});

describe("end", () => {
  // Three numbers of RocketMQ's name the half message; here it is one, its id: to be wrong in one of them is to be wrong in it.
  test.each(table.end)("row $id $note", ({ input, expected }) => {
    const isThere = input.halfExists && input.halfQueueOffsetMatches && input.commitLogOffsetMatches;
    const half = { born: 0, immunity: input.immunitySec, group: input.groupMatches ? "g" : "other" };
    const state = stateOf(SPELT[input.state]);
    const refused = refuseEnd({ state, fromCheck: input.fromCheck, group: "g" }, isThere ? half : null, input.elapsedMs ?? 0, DEFAULTS);
    // UNKNOWN is answered here: nothing changes, and who asked hears that.
    if ("reply" in expected) return expect([refused, state]).toEqual([null, "UNKNOWN"]);
    expect(refused?.code ?? "SUCCESS").toBe(expected.code);
    if (refused === null) expect({ op: true, visible: state === "COMMIT" }).toEqual({ op: expected.op, visible: expected.visible });
  });

  test("without an immunity time of its own a direct end is never too late", () => {
    expect(refuseEnd({ state: "COMMIT", fromCheck: false, group: "g" }, { born: 0, immunity: undefined, group: "g" }, 1e9, DEFAULTS)).toBeNull();
  });
});

describe("local", () => {
  test.each(table.local)("row $id", ({ sendStatus, listener, result }) => {
    if (sendStatus === "throws") return expect(result).toBe("send exception");
    expect(runsLocally(sendStatus)).toBe(listener !== "not called");
    const state = runsLocally(sendStatus) ? stateOf(SPELT[String(listener)] ?? listener) : "ROLLBACK";
    expect(state).toBe(SPELT[result]);
  });

  test.each([undefined, null, 1, "commit", "UNKNOW", {}, Symbol("x"), "throws"])("no answer: %s", (answer) => expect(stateOf(answer)).toBe("UNKNOWN"));
});

describe("sequences", () => {
  test.each(table.sequences)("row $id $note", ({ config, answers, events, checks, final }) => {
    const rules = { ...DEFAULTS, transactionTimeout: config.timeoutMs, transactionCheckInterval: config.checkIntervalMs, transactionCheckMax: config.checkMax };
    const half = halfOf({});
    const seen: unknown[] = [];
    let ended = "";
    while (ended === "") {
      const now = nextRound(half, rules);
      // Rounds in which nothing is to be done have no timer here.
      for (let idle = Math.max(half.checkedAt, 0) + rules.transactionCheckInterval; idle < now; idle += rules.transactionCheckInterval) {
        expect(judgeHalf(half, idle, rules)).toBe("wait");
        seen.push({ t: idle, action: "wait" });
      }
      const action = judgeHalf(half, now, rules);
      if (action === "discard") {
        seen.push({ t: now, action });
        ended = "discarded";
        break;
      }
      expect(action).toBe("check");
      half.checkedAt = now;
      const answer = answers[half.checkTimes++] ?? "UNKNOW";
      seen.push({ t: now, action, checkTimes: half.checkTimes, answer });
      if (answer !== "UNKNOW") ended = answer === "COMMIT" ? "committed" : "rolled-back";
    }
    expect(seen).toEqual(events);
    expect({ checks: half.checkTimes, final: ended }).toEqual({ checks, final });
  });

  test("a half message is due exactly when there is something to do, however old it was when it was stored", () => {
    for (const born of [-400_000, -6000, -100, 0, 50, 5000, 100_000]) {
      for (const immunity of [undefined, "0", "3", "40", "-1", "x", "-5"]) {
        const half: HalfTimes = { born, stored: 0, checkTimes: 0, checkedAt: 0, immunity };
        for (const interval of [700, 30_000]) {
          const rules = { ...DEFAULTS, transactionCheckInterval: interval };
          const due = nextRound(half, rules);
          expect(judgeHalf(half, due, rules), `${born} ${immunity} ${interval}`).toBe("check");
          for (let round = interval; round < due; round += interval) expect(judgeHalf(half, round, rules)).toBe("wait");
        }
      }
    }
  });
});

test("control: rules that differ by one thing do not give what the table says", () => {
  const row = (id: number): (typeof table.check)[number] => table.check.find((one) => one.id === id)!;
  const judged = (id: number, change: Partial<HalfTimes>): string => judgeHalf({ ...halfOf(row(id).half), ...change }, row(id).now, DEFAULTS);
  // One ms older at exactly the timeout; one check less at the limit; without the immunity time; a second early.
  expect([judged(3, { born: -1 }), judged(9, { checkTimes: 14 }), judged(15, { immunity: undefined })]).toEqual(["check", "check", "check"]);
});
