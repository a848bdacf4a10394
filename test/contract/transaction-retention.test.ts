/** The log is cut, and never inside a transaction that is open. */
import { describe, expect, test, vi } from "vitest";
import { HalfMessages } from "../../src/broker/half-messages.ts";
import type { TabMQ } from "../../src/index.ts";
import { TRANS_CHECK_MAX_TIME_TOPIC } from "../../src/model/system-names.ts";
import { inTime, never, pending, type World } from "../support/transaction-world.ts";

const SECOND = 1000;

describe("retention", () => {
  const MIB = 1024 * 1024;

  /** An open transaction, and then more than may be kept. What is left to be decided, and how much log there is. */
  const overrun = (world: World): Promise<{ mq: TabMQ; decide: (state: string) => void; sent: Promise<unknown>; fill: () => Promise<void> }> => {
    world.broker = { defaultTopicQueueNums: 1, maxStoreBytes: 3 * MIB };
    return (async () => {
      const mq = await world.tab();
      let decide = (_state: string): void => {};
      const producer = await world.producer(mq, "a", () => new Promise((resolve) => (decide = resolve)), () => "UNKNOWN");
      const filler = await mq.createProducer({ producerGroup: "filler", sendMsgTimeout: 60_000 });
      const fill = async (): Promise<void> => {
        for (let round = 0; round < 4; round++) {
          await Promise.all(Array.from({ length: 500 }, (_, at) => filler.send({ topic: "fill", body: new Uint8Array(2000).fill(at) })));
          await world.origin.time.sleep(12 * SECOND);
        }
      };
      await filler.send({ topic: "fill", body: new Uint8Array(2 * MIB) });
      await world.origin.time.sleep(20 * SECOND);
      const sent = producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(SECOND);
      await fill();
      // What has gone may still be in memory.
      world.origin.killWorker();
      return { mq, decide: (state) => decide(state), sent, fill };
    })();
  };
  const logBytes = ({ disk }: World): number => [...disk.log.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const minPosition = async (mq: TabMQ): Promise<number> => (await mq.diagnostics()).broker.retention.minPosition;

  test("the log is cut up to an open transaction, and not inside it; it goes on when the transaction has ended", () =>
    inTime(async (world) => {
      const { mq, decide, sent, fill } = await overrun(world);
      expect(await minPosition(mq)).toBeGreaterThan(0);
      expect(logBytes(world)).toBeGreaterThan(4 * MIB);
      decide("COMMIT");
      expect(await sent).toMatchObject({ localTransactionState: "COMMIT" });
      expect(await world.texts(mq)).toEqual(["x"]);
      await fill();
      expect(logBytes(world)).toBeLessThan(4.2 * MIB);
    }));

  test("control: without the pin its message is gone before it is decided", () =>
    inTime(async (world) => {
      vi.spyOn(HalfMessages.prototype, "firstPosition", "get").mockReturnValue(Number.POSITIVE_INFINITY);
      const { mq, decide, sent } = await overrun(world);
      vi.restoreAllMocks();
      decide("COMMIT");
      await expect(sent).rejects.toMatchObject({ code: "SYSTEM_ERROR", field: "transactionId" });
      expect(await world.texts(mq).catch(() => [])).toEqual([]);
    }));

  test("what nobody decides is not kept for ever: it is given up when its time is over, also while the broker was not there", () =>
    inTime(async (world) => {
      world.broker = { fileReservedTime: 3600 * SECOND };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", never);
      await producer.sendMessageInTransaction({ topic: "t", body: "first" });
      await producer.shutdown();
      await world.origin.time.sleep(3590 * SECOND);
      expect(await pending(mq)).toBe(1);
      await world.origin.time.sleep(80 * SECOND);
      expect([await pending(mq), await world.texts(mq, TRANS_CHECK_MAX_TIME_TOPIC)]).toEqual([0, ["first"]]);
      const again = await world.producer(mq, "b", () => "UNKNOWN", never);
      await again.sendMessageInTransaction({ topic: "t", body: "second" });
      world.origin.killAll();
      await world.origin.time.sleep(7200 * SECOND);
      const later = await world.tab();
      await world.origin.time.sleep(2 * SECOND);
      expect([await pending(later), await world.texts(later, TRANS_CHECK_MAX_TIME_TOPIC)]).toEqual([0, ["first", "second"]]);
    }));
});
