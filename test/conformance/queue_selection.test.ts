import { describe, expect, it } from "vitest";
import { javaHash, sipHash24 } from "../../src/model/hash.ts";
import { RoundRobin, SelectMessageQueueByConsistentHash, SelectMessageQueueByHash, queueKey, queueOfMessageGroup } from "../../src/model/queue.ts";
import type { MessageQueue } from "../../src/model/queue.ts";
import { FAILED_TRY_LATENCY, maySendAgain, notAvailableDuration, type TryOutcome } from "../../src/model/send-retry.ts";
import table from "./data/queue_selection.json";

function queuesOf(count: number): MessageQueue[] {
  return Array.from({ length: count }, (_, queueId) => ({ topic: "T", brokerName: "b", queueId }));
}

describe("queue_selection: hashSelector", () => {
  it.each(table.hashSelector)("row $id: $argType $arg", ({ argType, arg, queues, index }) => {
    const value = argType === "long" ? BigInt(arg) : arg;
    expect(SelectMessageQueueByHash(queuesOf(queues), undefined, value).queueId).toBe(index);
  });
});

describe("queue_selection: fifo5", () => {
  it.each(table.fifo5)("row $id: $messageGroup", ({ messageGroup, queues, sipHash24Hex, index }) => {
    const { high, low } = sipHash24(new TextEncoder().encode(messageGroup));
    expect(high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0")).toBe(sipHash24Hex);
    expect(queueOfMessageGroup(messageGroup, queues)).toBe(index);
  });
});

describe("queue_selection: proxyFifo", () => {
  it.each(table.proxyFifo)("row $id: $messageGroup", ({ messageGroup, queues, javaHash: expected, index }) => {
    expect(javaHash(messageGroup)).toBe(expected);
    expect(SelectMessageQueueByConsistentHash(queuesOf(queues), undefined, messageGroup).queueId).toBe(index);
  });

  it("with one queue more, a message stays or goes to the new one; without an arg there is nothing to hash", () => {
    let moved = 0;
    for (let at = 0; at < 1000; at++) {
      const [before, after] = [8, 9].map((count) => SelectMessageQueueByConsistentHash(queuesOf(count), undefined, `group-${at}`).queueId);
      if (before !== after) expect(after).toBe(8);
      if (before !== after) moved++;
    }
    expect(moved).toBeGreaterThan(50);
    expect(moved).toBeLessThan(200);
    expect(() => SelectMessageQueueByConsistentHash(queuesOf(2), undefined, undefined)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "arg" }));
    expect(() => SelectMessageQueueByConsistentHash([], undefined, "x")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "queues" }));
  });
});

describe("queue_selection: roundRobin", () => {
  it.each(table.roundRobin)("row $id: $note", ({ queues, counterBefore, lastFailedBroker, sends, expected }) => {
    const roundRobin = new RoundRobin(counterBefore);
    const named = queues.map((text) => ({ text, brokerName: text.split(":")[1]! }));
    expect(Array.from({ length: sends }, () => roundRobin.choose(named, lastFailedBroker).text)).toEqual(expected);
    if (lastFailedBroker !== null) return;
    const own = new RoundRobin(counterBefore);
    expect(Array.from({ length: sends }, () => queues[own.next(queues.length)])).toEqual(expected);
  });
});

describe("queue_selection: latency", () => {
  it.each(table.latency)("row $id: $latencyMs", ({ latencyMs, notAvailableMs53, notAvailableMs49 }) => {
    expect(notAvailableDuration(latencyMs)).toBe(notAvailableMs53);
    expect(notAvailableDuration(latencyMs, "4")).toBe(notAvailableMs49);
  });

  it("a failed try counts as ten seconds, before 5.1.4 as thirty", () => {
    expect(notAvailableDuration(FAILED_TRY_LATENCY["5"])).toBe(10_000);
    expect(notAvailableDuration(FAILED_TRY_LATENCY["4"], "4")).toBe(600_000);
    for (const bad of [-1, Number.NaN, "1"]) expect(() => notAvailableDuration(bad as never)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "latency" }));
  });
});

describe("queue_selection: retry", () => {
  it.each(table.retry)("row $id: $mode $attempts", ({ mode, attempts, config, expected }) => {
    let tries = 0;
    let last: string;
    do last = attempts[tries++]!;
    while (tries < attempts.length && maySendAgain(last as TryOutcome, tries, { ...config, mode: mode as "sync" | "async" }));
    expect({ tries, result: last.includes("error") || last.startsWith("broker:") || last === "interrupted" ? "error" : last }).toEqual(expected);
    // And where the row ends, RocketMQ ends too.
    expect(maySendAgain(last as TryOutcome, tries, { ...config, mode: mode as "sync" | "async" })).toBe(false);
  });

  it("a send that nobody waits for has one try", () => {
    expect(maySendAgain("remoting-error", 1, { mode: "oneway" })).toBe(false);
  });
});

it("queueKey tells apart what the table's queue names tell apart", () => {
  expect(new Set([queueKey("T", 1), queueKey("T", 11), queueKey("T1", 1)]).size).toBe(3);
});
