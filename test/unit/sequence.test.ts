import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OutboxEntry } from "../../src/client/outbox.ts";
import { ProcessQueue } from "../../src/client/process-queue.ts";
import { SequenceAudit, type SequenceGap } from "../../src/client/sequence-audit.ts";
import { SequenceNumbers } from "../../src/client/sequence-numbers.ts";
import { MQError } from "../../src/model/errors.ts";
import { draftMessage, MAX_SENT_PROPERTIES, type MessageExt } from "../../src/model/message.ts";
import { decodeProperties, PROPERTY } from "../../src/model/properties.ts";
import { MAX_STAMP_BYTES, MAX_STAMP_VOIDS, type NumberRange, readStamp, stampProperty } from "../../src/model/sequence.ts";
import type { OffsetRange } from "../../src/protocol/api.ts";

const QUEUE = { topic: "t", brokerName: "broker-a", queueId: 0 };
const entry = (msgId: string, properties: Record<string, string> = {}, from?: number): OutboxEntry =>
  ({ draft: draftMessage({ topic: "t", body: "x", properties }, msgId), topic: new Uint8Array(1), queueId: 0, from, stored: () => {}, refused: () => {} });

/** What becomes of a send: stored; stored twice by a re-send; certainly not; and nobody knows, with or without it. */
type Fate = "stored" | "twice" | "rejected" | "unknown, stored" | "unknown, lost";

interface Sent {
  fate: Fate;
  number: number;
  stamp: string;
}

/** Sends one after the other, and hears of each when `lag` more are on their way. What is at the end is heard in time. */
function sendAll(fates: readonly Fate[], lag: number): Sent[] {
  const numbers = new SequenceNumbers("p@1");
  const sent: Sent[] = [];
  const open: (() => void)[] = [];
  const send = (fate: Fate): void => {
    const [numbered] = numbers.number(QUEUE, [entry(String(sent.length))]);
    const stamp = decodeProperties(numbered!.draft.properties)[PROPERTY.SEQUENCE]!;
    expect(numbered!.draft.propertiesBytes).toBe(numbered!.draft.properties.length);
    sent.push({ fate, number: readStamp(stamp)!.number, stamp });
    open.push(() => {
      if (fate === "stored" || fate === "twice") numbered!.stored(0, 0, false, 0, null);
      else numbered!.refused(new MQError("STORAGE_FULL", "no", { outcome: fate === "rejected" ? "rejected" : "unknown" }));
    });
  };
  for (const fate of fates) {
    send(fate);
    while (open.length > lag) open.shift()!();
  }
  for (let more = 0; more < fates.length / MAX_STAMP_VOIDS + 2; more++) {
    for (const hear of open.splice(0)) hear();
    send("stored");
  }
  return sent;
}

function asMessages(sent: readonly Sent[]): MessageExt[] {
  const stored = sent.flatMap((one) => (one.fate === "rejected" || one.fate === "unknown, lost" ? [] : one.fate === "twice" ? [one, one] : [one]));
  return stored.map(({ number, stamp }, queueOffset) => ({ queueOffset, msgId: `m${number}`, properties: { [PROPERTY.SEQUENCE]: stamp } }) as unknown as MessageExt);
}

function audited(messages: readonly MessageExt[], done: OffsetRange[] = []): SequenceGap[] {
  const gaps: SequenceGap[] = [];
  const audit = new SequenceAudit((gap) => gaps.push(gap));
  const queue = new ProcessQueue(QUEUE, messages[0]?.queueOffset ?? 0, done);
  for (const message of messages) audit.look(queue, queue.put([message]));
  return gaps;
}

const numbersOf = (gaps: readonly SequenceGap[]): number[] => gaps.flatMap(({ expected, missing }) => Array.from({ length: missing }, (_, at) => expected + at)).sort((a, b) => a - b);

test("whatever becomes of sends, and however many are on their way: what is missing is told, once, and what is twice; nothing else", () => {
  const fates = fc.array(fc.constantFrom<Fate>("stored", "stored", "twice", "rejected", "rejected", "unknown, stored", "unknown, lost"), { maxLength: 60 });
  fc.assert(
    fc.property(fates, fc.nat({ max: 12 }), fc.nat({ max: 20 }), (list, lag, from) => {
      const sent = sendAll(list, lag);
      const messages = asMessages(sent).slice(from);
      const first = readStamp(messages[0]?.properties[PROPERTY.SEQUENCE])?.number ?? Infinity;
      const gaps = audited(messages);
      const lost = sent.filter(({ fate, number }) => fate === "unknown, lost" && number > first).map(({ number }) => number);
      expect(numbersOf(gaps)).toEqual(lost);
      const again = gaps.filter(({ missing }) => missing === 0).map(({ found, expected, msgId }) => [found, expected, msgId]);
      const seen = messages.map(({ msgId }) => msgId);
      const twice = sent.filter(({ fate, number }) => fate === "twice" && seen.filter((id) => id === `m${number}`).length === 2);
      expect(again).toEqual(twice.map(({ number }) => [number, number + 1, `m${number}`]));
    }),
    { numRuns: 500 },
  );
});

test("control: without the void numbers, what was certainly not stored is a gap", () => {
  const messages = asMessages(sendAll(["stored", "rejected", "stored", "stored"], 2));
  expect(audited(messages)).toEqual([]);
  const mute = messages.map((message) => {
    const stamp = readStamp(message.properties[PROPERTY.SEQUENCE])!;
    return { ...message, properties: decodeProperties(stampProperty({ ...stamp, voids: [] })) } as MessageExt;
  });
  expect(audited(mute)).toMatchObject([{ expected: 2, found: 3, missing: 1, msgId: "m3", producer: "p@1", messageQueue: QUEUE }]);
});

test("control: a gap that is told at once, and not when all before is known, is false while sends are on their way", () => {
  const messages = asMessages(sendAll(["stored", "rejected", "stored", "stored"], 2)).map((message) => {
    const stamp = readStamp(message.properties[PROPERTY.SEQUENCE])!;
    return { ...message, properties: decodeProperties(stampProperty({ ...stamp, settled: stamp.number })) } as MessageExt;
  });
  expect(numbersOf(audited(messages))).toEqual([2]);
});

describe("no memory, no gap", () => {
  const message = (queueOffset: number, number: number): MessageExt =>
    ({ queueOffset, msgId: "m", properties: decodeProperties(stampProperty({ producer: "p@1", number, settled: number, voids: [] })) }) as unknown as MessageExt;

  test("behind what the owner before has finished", () => {
    expect(audited([message(4, 1), message(7, 4), message(8, 5)], [[5, 7]])).toEqual([]);
    // Control: without that it would be one.
    expect(audited([message(4, 1), message(7, 4), message(8, 5)])).toMatchObject([{ expected: 2, missing: 2 }]);
  });

  test("behind what was deleted, in another queue, of another producer, in a retry topic", () => {
    const gaps: SequenceGap[] = [];
    const audit = new SequenceAudit((gap) => gaps.push(gap));
    const queue = new ProcessQueue(QUEUE, 0);
    audit.look(queue, [message(0, 1)]);
    audit.forget(queue);
    audit.look(queue, [message(5, 6)]);
    audit.look(new ProcessQueue({ ...QUEUE, queueId: 1 }, 0), [message(0, 9)]);
    const other = stampProperty({ producer: "q@1", number: 20, settled: 20, voids: [] });
    audit.look(queue, [{ ...message(6, 0), properties: decodeProperties(other) } as MessageExt, message(7, 7)]);
    const retries = new ProcessQueue({ ...QUEUE, topic: "%RETRY%g" }, 0);
    audit.look(retries, [message(0, 1), message(1, 9)]);
    audit.forgetAll();
    audit.look(queue, [message(8, 99)]);
    expect(gaps).toEqual([]);
    audit.look(queue, [message(9, 101)]);
    expect(gaps).toHaveLength(1);
  });
});

describe("a message in doubt that is sent again", () => {
  /** Sends one to a queue; tells the number it gets, and which numbers it says are void. */
  function line(): (msgId: string, outcome: number | "unknown" | "rejected", to?: { queueId?: number; from?: number }) => [number: number, voids: readonly NumberRange[]] {
    const numbers = new SequenceNumbers("p@1");
    return (msgId, outcome, { queueId = 0, from } = {}) => {
      const [numbered] = numbers.number({ ...QUEUE, queueId }, [{ ...entry(msgId, {}, from), queueId }]);
      if (typeof outcome === "number") numbered!.stored(0, 0, false, outcome, null);
      else numbered!.refused(new MQError("STORAGE_UNAVAILABLE", "no", { outcome }));
      const stamp = readStamp(decodeProperties(numbered!.draft.properties)[PROPERTY.SEQUENCE])!;
      return [stamp.number, stamp.voids];
    };
  }

  test("to its queue keeps its number", () => {
    const send = line();
    expect([send("a", "unknown"), send("b", 0), send("a", 0, { from: 0 }), send("c", "rejected"), send("c", 0)]).toEqual([[1, []], [2, []], [1, []], [3, []], [4, [[3, 4]]]]);
  });

  test("to another queue and found in its own: the number there is void", () => {
    const send = line();
    expect([send("a", "unknown"), send("a", 0, { queueId: 1, from: 0 })]).toEqual([[1, []], [1, []]]);
    expect([send("b", 0), send("b", 1, { queueId: 1 })]).toEqual([[2, []], [2, [[1, 2]]]]);
  });

  test("to another queue and stored there, or certainly nowhere: the number in its own is void", () => {
    const send = line();
    expect([send("a", "unknown"), send("a", 1, { queueId: 1, from: 0 }), send("b", 0)]).toEqual([[1, []], [1, []], [2, [[1, 2]]]]);
    expect([send("c", "unknown"), send("c", "rejected", { from: 0 }), send("d", 0)]).toEqual([[3, []], [3, []], [4, [[3, 4]]]]);
  });
});

test("a stamp is read as it was written, has room, and what is none is none", () => {
  const ranges = Array.from({ length: MAX_STAMP_VOIDS }, (_, at): NumberRange => [Number.MAX_SAFE_INTEGER - at - 1, Number.MAX_SAFE_INTEGER - at]);
  const stamp = { producer: `${"g".repeat(120)}@${"f".repeat(16)}`, number: Number.MAX_SAFE_INTEGER, settled: Number.MAX_SAFE_INTEGER, voids: ranges };
  const property = stampProperty(stamp);
  expect(property.length).toBeLessThanOrEqual(MAX_STAMP_BYTES);
  expect(readStamp(decodeProperties(property)[PROPERTY.SEQUENCE])).toEqual(stamp);
  for (const text of [undefined, "", "p", "p x", "p 1 - 3", "p 1 1 5-5", "p 1 1 5", "p 1 1 5-", "p \u0000"]) expect(readStamp(text)).toBeNull();
  const long = entry("m", { x: "y".repeat(MAX_SENT_PROPERTIES - 200) });
  expect(() => new SequenceNumbers("p").number(QUEUE, [long])).toThrow(expect.objectContaining({ code: "MESSAGE_ILLEGAL", field: "message.properties" }));
});
