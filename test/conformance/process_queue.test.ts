import { describe, expect, test } from "vitest";
import { ProcessQueue } from "../../src/client/process-queue.ts";
import { concurrentResult, type MessageModel } from "../../src/model/consume-result.ts";
import type { MessageExt } from "../../src/index.ts";
import table from "./data/process_queue.json" with { type: "json" };

const message = (queueOffset: number): MessageExt => ({ queueOffset, storeSize: 1 }) as MessageExt;

interface Step {
  ack: number[];
  commitOffset: number;
  left: number;
}

describe("commit", () => {
  test.each(table.commit.map((row) => [row.id, row.note ?? "", row] as const))("row %i %s", (_id, _note, row) => {
    const offsets = row.put.flat();
    const queue = new ProcessQueue({ topic: "t", brokerName: "b", queueId: 0 }, Math.min(...offsets, Number.MAX_SAFE_INTEGER));
    for (const put of row.put) queue.put(put.map(message));
    for (const step of row.steps as Step[]) {
      const before = queue.size;
      for (const offset of step.ack) queue.remove(message(offset));
      // -1 in RocketMQ says "nothing new to store"; ours then says again what it said before.
      if (step.commitOffset >= 0) expect(queue.commitOffset).toBe(step.commitOffset);
      else expect(queue.size).toBe(before);
      expect(queue.size).toBe(step.left);
    }
  });
});

describe("concurrently", () => {
  test.each(table.concurrently.map((row) => [row.id, row.note ?? "", row] as const))("row %i %s", (_id, _note, { input, expected }) => {
    const { model, status, ackIndex, batchSize, sendBackFails } = input;
    const { consumed, sentBack, dropped } = concurrentResult(model as MessageModel, status === "CONSUME_SUCCESS", ackIndex ?? 2 ** 31 - 1, batchSize);
    // What the broker could not take over stays (test/contract/retry.test.ts).
    const retriedLocally = sentBack.filter((at) => (sendBackFails as number[]).includes(at));
    const taken = sentBack.filter((at) => !retriedLocally.includes(at));
    const removedFromQueue = [...consumed, ...taken, ...dropped].sort((a, b) => a - b);
    expect({ consumed, sentBack: taken, retriedLocally, dropped, removedFromQueue }).toEqual(expected);
  });
});
