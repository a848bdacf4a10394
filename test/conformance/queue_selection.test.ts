import { describe, expect, it } from "vitest";
import { sipHash24 } from "../../src/model/hash.ts";
import { RoundRobin, SelectMessageQueueByHash, queueKey, queueOfMessageGroup } from "../../src/model/queue.ts";
import type { MessageQueue } from "../../src/model/queue.ts";
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

const SEVERAL_BROKERS: Record<number, string> = {
  3: "skips the queues of a failed broker; there is one broker: later",
  4: "skips the queues of a failed broker; there is one broker: later",
};

describe("queue_selection: roundRobin", () => {
  for (const row of table.roundRobin) {
    const skipped = SEVERAL_BROKERS[row.id];
    if (skipped !== undefined) {
      it.skip(`row ${row.id}: ${skipped}`);
      continue;
    }
    it(`row ${row.id}: ${row.note ?? row.queues.length}`, () => {
      const roundRobin = new RoundRobin(row.counterBefore);
      const chosen = Array.from({ length: row.sends }, () => row.queues[roundRobin.next(row.queues.length)]);
      expect(chosen).toEqual(row.expected);
    });
  }
});

describe("queue_selection: sections without a counterpart yet", () => {
  it.skip(`proxyFifo (${table.proxyFifo.length} rows): RocketMQ's proxy; TabMQ places message groups as the 5.x client does`);
  it.skip(`latency (${table.latency.length} rows): one broker: later`);
  it.skip(`retry (${table.retry.length} rows): one broker: later`);
});

it("queueKey tells apart what the table's queue names tell apart", () => {
  expect(new Set([queueKey("T", 1), queueKey("T", 11), queueKey("T1", 1)]).size).toBe(3);
});
