import fc from "fast-check";
import { expect, it } from "vitest";
import { SelectMessageQueueByHash, SelectMessageQueueByRandom, compareQueues, queueOfMessageGroup } from "../../src/model/queue.ts";
import type { MessageQueue, MessageQueueSelector } from "../../src/model/queue.ts";

const queues: MessageQueue[] = Array.from({ length: 7 }, (_, queueId) => ({ topic: "T", brokerName: "b", queueId }));

function byHash(arg: unknown): number {
  return SelectMessageQueueByHash(queues, undefined, arg).queueId;
}

it("by hash: a number beyond int32 goes where the same Java long goes", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger().filter((n) => n !== (n | 0)), (n) => {
      expect(byHash(n)).toBe(byHash(BigInt(n)));
    }),
  );
});

it("by hash: a bigint is Java's Long.hashCode, the low half xor the high half", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
      const hash = Number(BigInt.asIntN(32, (n & 0xffffffffn) ^ (BigInt.asUintN(64, n) >> 32n)));
      expect(byHash(n)).toBe(Math.abs(hash % queues.length));
    }),
  );
});

it("by hash: anything else goes by its text", () => {
  expect(byHash(1.5)).toBe(byHash("1.5"));
  expect(byHash(true)).toBe(byHash("true"));
  expect(byHash(new URL("a:b"))).toBe(byHash("a:b"));
});

it("by hash: a forgotten arg is refused instead of sending everything to one queue", () => {
  for (const arg of [undefined, null]) expect(() => byHash(arg)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "arg" }));
});

it("selectors refuse an empty list", () => {
  const selectors: MessageQueueSelector[] = [SelectMessageQueueByHash, SelectMessageQueueByRandom];
  for (const select of selectors) {
    expect(() => select([], undefined, "a")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "queues" }));
  }
});

it("by random: every queue comes, no other", () => {
  const seen = new Set(Array.from({ length: 2000 }, () => SelectMessageQueueByRandom(queues)));
  expect(seen).toEqual(new Set(queues));
});

it("a message group keeps its queue, in range", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 128 }), (group, count) => {
      const queue = queueOfMessageGroup(group, count);
      expect(queue).toBe(queueOfMessageGroup(group, count));
      expect(queue >= 0 && queue < count).toBe(true);
    }),
  );
});

it("queues are ordered by topic, broker name, number", () => {
  const sorted: MessageQueue[] = [
    { topic: "A", brokerName: "b", queueId: 2 },
    { topic: "A", brokerName: "b", queueId: 10 },
    { topic: "A", brokerName: "b-2", queueId: 0 },
    { topic: "B", brokerName: "a", queueId: 0 },
    { topic: "a", brokerName: "a", queueId: 0 },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(sorted, { minLength: sorted.length }), (shuffled) => {
      expect([...shuffled].sort(compareQueues)).toEqual(sorted);
    }),
  );
});
