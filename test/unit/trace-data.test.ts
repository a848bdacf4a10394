/** The trace topic's text. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CONSUME_RETURN_TYPES, decodeTrace, encodeTrace, isTraceable, traceKey, type TraceRecord } from "../../src/model/trace-data.ts";

const ID = "7F000001A3B418B4AAC200000001ABCD";
const everything = (): boolean => true;

const RECORDS: TraceRecord[] = [
  { type: "SubBefore", time: 1_700_000_000_000, group: "g", requestId: "R1", msgId: ID, retryTimes: 2, deliverTime: 1_699_999_999_999 },
  { type: "SubAfter", requestId: "R1", msgId: ID, costTime: 12, success: true, returnType: "SUCCESS", time: 1_700_000_000_012, group: "g", retryTimes: 2, deliverTime: 1_699_999_999_999, reason: "" },
  { type: "SubAfter", requestId: "R2", msgId: ID, costTime: 0, success: false, returnType: "EXCEPTION", time: 1_700_000_000_012, group: "g", retryTimes: 0, deliverTime: 1_700_000_000_000, reason: "it broke" },
  { type: "EndTransaction", time: 1_700_000_000_000, group: "p", topic: "t", msgId: ID, transactionId: ID, state: "ROLLBACK", fromCheck: true },
  { type: "Recall", time: 1_700_000_000_000, group: "p", topic: "t", msgId: ID, success: false },
  { type: "Discard", time: 1_700_000_000_000, group: "g", msgId: ID },
  { type: "Producer", time: 1_700_000_000_000, group: "p", prefix: ID.slice(0, 20) },
];

test("what is written is read, one record after the other", () => {
  expect(decodeTrace(RECORDS.map(encodeTrace).join(""), everything)).toEqual(RECORDS);
});

test("RocketMQ's fields stand where its decoder looks for them, ours behind", () => {
  const fields = RECORDS.map((record) => encodeTrace(record).split("\u0001"));
  expect(fields[0]).toEqual(["SubBefore", "1700000000000", "", "g", "R1", ID, "2", "", "1699999999999\u0002"]);
  expect(fields[2]).toEqual(["SubAfter", "R2", ID, "0", "false", "", "2", "1700000000012", "g", "0", "1700000000000", "it broke\u0002"]);
  expect(fields[3]).toEqual(["EndTransaction", "1700000000000", "", "p", "t", ID, "", "", "", "1", ID, "ROLLBACK_MESSAGE", "true\u0002"]);
  expect(fields[4]).toEqual(["Recall", "1700000000000", "", "p", "t", ID, "false\u0002"]);
});

test("records of RocketMQ's own clients are read", () => {
  const body = `SubBefore\u00011700000000000\u0001DefaultRegion\u0001g\u0001AAAA\u0001${ID}\u00011\u0001k1 k2\u0002SubAfter\u0001AAAA\u0001${ID}\u00017\u0001true\u0001k1 k2\u00010\u00011700000000007\u0001g\u0002Pub\u00011\u0001r\u0001g\u0002`;
  expect(decodeTrace(body, everything)).toMatchObject([
    { type: "SubBefore", group: "g", requestId: "AAAA", retryTimes: 1, deliverTime: 1_700_000_000_000 },
    { type: "SubAfter", costTime: 7, success: true, time: 1_700_000_000_007, deliverTime: 1_700_000_000_000 },
  ]);
});

test("only what was asked for", () => {
  const other = { ...RECORDS[0]!, msgId: "other" } as TraceRecord;
  expect(decodeTrace(RECORDS.concat(other).map(encodeTrace).join(""), (key) => key === "other")).toEqual([other]);
});

describe("bad input", () => {
  test("whatever the text, no error, and nothing that is not whole", () => {
    const word = fc.oneof(fc.constantFrom("SubBefore", "SubAfter", "EndTransaction", "Recall", "Discard", "Producer", "__proto__", "constructor", "true", "1", "-1", "NaN", "1e99", ID), fc.string());
    const body = fc.array(fc.array(word, { maxLength: 20 }).map((fields) => fields.join("\u0001")), { maxLength: 10 }).map((records) => records.join("\u0002"));
    fc.assert(
      fc.property(fc.oneof(body, fc.string()), (text) => {
        for (const record of decodeTrace(text, everything)) {
          expect(traceKey(record).length).toBeGreaterThan(0);
          if ("time" in record) expect(Number.isSafeInteger(record.time) && record.time >= 0).toBe(true);
          if (record.type === "SubAfter") expect(CONSUME_RETURN_TYPES).toContain(record.returnType);
        }
      }),
    );
  });

  test.each([
    ["a time that is none", `SubBefore\u0001x\u0001\u0001g\u0001R\u0001${ID}\u00010\u0001\u00010`],
    ["a time beyond all", `SubBefore\u00019999999999999999999\u0001\u0001g\u0001R\u0001${ID}\u00010`],
    ["a negative cost", `SubAfter\u0001R\u0001${ID}\u0001-5\u0001true\u0001\u00010\u00011\u0001g`],
    ["neither true nor false", `SubAfter\u0001R\u0001${ID}\u00015\u0001maybe\u0001\u00010\u00011\u0001g`],
    ["no group", `SubAfter\u0001R\u0001${ID}\u00015\u0001true\u0001\u00010\u00011`],
    ["a decision that is none", `EndTransaction\u00011\u0001\u0001g\u0001t\u0001${ID}\u0001\u0001\u0001\u00011\u0001x\u0001PERHAPS\u0001true`],
    ["a name without end", `Recall\u00011\u0001\u0001${"g".repeat(600)}\u0001t\u0001${ID}\u0001true`],
  ])("%s: left out, and the record behind it is read", (_what, text) => {
    expect(decodeTrace(`${text}\u0002${encodeTrace(RECORDS[1]!)}`, everything)).toEqual([RECORDS[1]]);
  });

  test("a body that is too long is read as far as one may go", () => {
    const whole = encodeTrace(RECORDS[1]!);
    expect(decodeTrace(whole.repeat(5000), everything).length).toBe(Math.floor(128_000 / whole.length));
  });

  test("an error's text makes no fields, and an id of somebody else's making no keys", () => {
    const record = { ...RECORDS[2]!, reason: `a\u0001b\u0002SubAfter\u0001${"x".repeat(1000)}` } as TraceRecord;
    const [read, ...more] = decodeTrace(encodeTrace(record), everything);
    expect(more).toEqual([]);
    expect(read).toMatchObject({ reason: expect.stringMatching(/^a b SubAfter x+$/) });
    for (const msgId of ["", "two words", "a\u0001b", "x".repeat(65)]) expect(isTraceable({ ...RECORDS[0]!, msgId } as TraceRecord)).toBe(false);
    expect(RECORDS.every(isTraceable)).toBe(true);
  });
});
