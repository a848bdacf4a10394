import { describe, expect, test } from "vitest";
import { ListenerRunner } from "../../src/client/listener-runner.ts";
import { OrderlyConsumption } from "../../src/client/orderly-consumption.ts";
import { ProcessQueue } from "../../src/client/process-queue.ts";
import type { ConsumeResult, MessageExt } from "../../src/index.ts";
import type { SettleReply, SettleResult } from "../../src/protocol/api.ts";
import table from "./data/order.json" with { type: "json" };

/** Of the broker's lock, its time to live and its renewal: the coordinator hands queues over instead (test/contract/orderly.test.ts). */
const LOCKS = "RebalanceLockManager is replaced by the group's coordinator";

const CONSUME_TIMEOUT = 900_000;
/** RocketMQ's default, which the rows write as -1. */
const UNLIMITED = 2 ** 31 - 1;

interface Row {
  autoCommit: boolean;
  status: string;
  reconsumeTimes: number[];
  maxReconsumeTimes: number;
  sendBackSucceeds: boolean;
  suspendMs: number;
}

type Expected = Partial<Record<"commit" | "continueNow" | "rollback", boolean> & { suspendMs: number; sentBack: number; reconsumeTimesAfter: number[] }>;

const flush = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One call that ends as the row says, and what comes after it; the row's batch is followed by another message. */
async function outcome({ autoCommit, status, reconsumeTimes, maxReconsumeTimes, sendBackSucceeds, suspendMs }: Row): Promise<Required<Expected>> {
  const alarms: { ms: number; ring: () => void }[] = [];
  const calls: MessageExt[][] = [];
  const settled: SettleResult[] = [];
  const timers = {
    after: (ms: number, ring: () => void) => {
      if (ms !== CONSUME_TIMEOUT) alarms.push({ ms, ring });
      return () => {};
    },
  };
  const processQueue = new ProcessQueue({ topic: "t", brokerName: "b", queueId: 0 }, 0);
  const message = (queueOffset: number, times: number): MessageExt => ({ queueOffset, reconsumeTimes: times, storeSize: 1, properties: {} }) as unknown as MessageExt;
  const size = reconsumeTimes.length;
  const runner = new ListenerRunner({
    group: "g", orderly: true, timeout: CONSUME_TIMEOUT, exceptionPolicy: "retry", timers, clock: { now: () => 0, monotonic: () => 0 }, onError: () => {}, reply: () => Promise.resolve(),
    listener: (messages, context) => {
      calls.push(messages);
      context.autoCommit = autoCommit;
      // The second call is only to be looked at.
      if (calls.length > 1) return new Promise(() => {});
      context.suspend(suspendMs);
      return (status === "null" ? null : status) as ConsumeResult;
    },
  });
  const consumption = new OrderlyConsumption({
    runner, timers, concurrency: 1, batchSize: size, messageModel: "CLUSTERING", suspendTime: 1000, onError: () => {},
    maxReconsumeTimes: maxReconsumeTimes < 0 ? UNLIMITED : maxReconsumeTimes,
    sender: { finish: (_options, _queue, works) => Promise.resolve({ taken: new Set(works), refusal: null }) },
    member: {
      isSure: true,
      finish: () => Promise.reject(new Error("nothing is sent")),
      began: () => {},
      ended: (queue, { queueOffset }, isConsumed) => void (isConsumed && queue.remove(message(queueOffset, 0))),
      settle: (_queue, _max, results): Promise<SettleReply> => {
        if (!sendBackSucceeds) return Promise.reject(new Error("no"));
        settled.push(...results);
        return Promise.resolve({ refused: [] });
      },
    },
  });
  const messages = [...reconsumeTimes, 0].map((times, at) => message(at, times));
  consumption.take(processQueue, processQueue.put(messages));
  await flush();
  const continueNow = calls.length === 2;
  const [alarm] = alarms;
  alarm?.ring();
  await flush();
  // What comes again says how often it has failed; what was sent back does not come again, and said it there.
  const after = continueNow ? settled.map((result) => result.reconsumeTimes!) : calls[1]!.map((again) => again.reconsumeTimes);
  return {
    commit: processQueue.commitOffset >= size,
    continueNow,
    suspendMs: alarm?.ms ?? 0,
    sentBack: settled.length,
    reconsumeTimesAfter: after,
    rollback: !continueNow && status === "ROLLBACK" && calls[1]!.length === size && calls[1]!.every(({ queueOffset }, at) => queueOffset === at),
  };
}

describe("results", () => {
  test.each(table.results.map((row) => [row.id, row.note ?? "", row] as const))("row %i %s", async (_id, _note, { input, expected }) => {
    const { note: _text, ...wanted } = expected as Expected & { note?: string };
    expect(await outcome(input)).toMatchObject(wanted);
  });

  test("control: without the maximum, or where what has failed is not counted, row 9 is red", async () => {
    const { input, expected } = table.results.find(({ id }) => id === 9)!;
    const { reconsumeTimes } = input;
    expect(await outcome(input)).toMatchObject(expected);
    for (const change of [{ maxReconsumeTimes: -1 }, { sendBackSucceeds: false }, { reconsumeTimes: reconsumeTimes.map(() => 0) }]) {
      expect(await outcome({ ...input, ...change })).not.toMatchObject({ commit: true });
    }
  });
});

describe("locks", () => {
  test.skip.each(table.locks)(`row $id: ${LOCKS}`, () => {});
});
