/** Transactions in doubt, as an operator sees them and decides them, in virtual time. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { OpenTransactions } from "../../src/broker/open-transactions.ts";
import { TransactionService } from "../../src/broker/transactions.ts";
import type { MQError, TabMQ, TransactionProducer } from "../../src/index.ts";
import { FETCH_TARGET_BYTES } from "../../src/model/limits.ts";
import { OP_TOPIC } from "../../src/model/system-names.ts";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import { FullStore, inTime, never, pending, type World } from "../support/transaction-world.ts";

const SECOND = 1000;
afterEach(() => void vi.restoreAllMocks());

const undecided = (world: World, mq: TabMQ, name = "a", group = "pg"): Promise<TransactionProducer> => world.producer(mq, name, () => "UNKNOWN", () => "UNKNOWN", group);
const ids = async (mq: TabMQ, max?: number): Promise<string[]> => (await mq.admin.openTransactions(max === undefined ? {} : { max })).map(({ msgId }) => msgId);

describe("openTransactions", () => {
  test("the oldest first, with what they are and how often they were checked", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      expect(await mq.admin.openTransactions()).toEqual([]);
      const producer = await undecided(world, mq);
      const first = await producer.sendMessageInTransaction({ topic: "t", body: "12345", tags: "x", keys: ["k1", "k2"] });
      const stored = world.origin.time.now();
      await world.origin.time.sleep(SECOND);
      const other = await undecided(world, mq, "b", "other");
      const second = await other.sendMessageInTransaction({ topic: "u", body: "1" });
      const decided = await world.producer(mq, "c", () => "COMMIT", never, "decided");
      await decided.sendMessageInTransaction({ topic: "t", body: "not in doubt" });
      const [one, two, ...more] = await mq.admin.openTransactions();
      expect(more).toEqual([]);
      expect(one).toEqual({
        msgId: first.msgId, transactionId: first.msgId, topic: "t", producerGroup: "pg", tags: "x", keys: ["k1", "k2"], bodySize: 5,
        bornTimestamp: expect.any(Number), storeTimestamp: expect.any(Number), checks: 0, nextCheckTimestamp: expect.any(Number),
      });
      expect(one!.storeTimestamp).toBeGreaterThanOrEqual(one!.bornTimestamp);
      expect(one!.storeTimestamp).toBeLessThanOrEqual(stored);
      expect(two).toMatchObject({ msgId: second.msgId, topic: "u", producerGroup: "other", keys: [], bodySize: 1 });
      expect(two).not.toHaveProperty("tags");
      expect(await ids(mq, 1)).toEqual([first.msgId]);
      // It is asked when it was said to be.
      const due = one!.nextCheckTimestamp;
      await world.origin.time.sleep(due - world.origin.time.now() - 1);
      expect(world.checks).toEqual([]);
      await world.origin.time.sleep(SECOND);
      expect(world.checks[0]!.at + world.began).toBe(due);
      const [asked] = await mq.admin.openTransactions();
      expect(asked).toMatchObject({ msgId: first.msgId, checks: 1 });
      expect(asked!.nextCheckTimestamp).toBeGreaterThan(due);
    }));

  test("where nobody is there to be asked: until it is given up", () =>
    inTime(async (world) => {
      world.broker = { ...world.broker, fileReservedTime: 3_600_000 };
      const mq = await world.tab();
      const producer = await undecided(world, mq);
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await producer.shutdown();
      await world.origin.time.sleep(60 * SECOND);
      const [{ bornTimestamp, nextCheckTimestamp, checks }] = (await mq.admin.openTransactions()) as [Awaited<ReturnType<typeof mq.admin.openTransactions>>[number]];
      expect([checks, nextCheckTimestamp - bornTimestamp]).toEqual([0, 3_600_001]);
      await world.origin.time.sleep(nextCheckTimestamp - world.origin.time.now() + SECOND);
      expect(await mq.admin.openTransactions()).toEqual([]);
    }));

  test("more than one call can hold, and no more than is asked for; also by the next broker", () =>
    inTime(async (world) => {
      let mq = await world.tab();
      const producer = await undecided(world, mq);
      const body = "x".repeat(FETCH_TARGET_BYTES / 2);
      const sent: string[] = [];
      for (let at = 0; at < 7; at++) sent.push((await producer.sendMessageInTransaction({ topic: "t", body })).msgId);
      const list = vi.spyOn(OpenTransactions.prototype, "list");
      expect(await ids(mq)).toEqual(sent);
      expect(list.mock.calls.length).toBe(4);
      expect(await ids(mq, 5)).toEqual(sent.slice(0, 5));
      await mq.admin.endTransaction({ msgId: sent[0]!, state: "COMMIT" });
      await mq.admin.endTransaction({ msgId: sent[3]!, state: "ROLLBACK" });
      const left = sent.filter((_id, at) => at !== 0 && at !== 3);
      expect(await ids(mq)).toEqual(left);
      world.origin.killAll();
      mq = await world.tab();
      expect(await ids(mq)).toEqual(left);
    }));

  test("bad input is refused", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      for (const [options, field] of [[{ max: 0 }, "openTransactions.max"], [{ max: 4001 }, "openTransactions.max"], [{ max: "1" }, "openTransactions.max"], [{ most: 1 }, "openTransactions.most"], [null, "openTransactions"]] as const) {
        await expect(mq.admin.openTransactions(options as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
      }
      for (const [options, field] of [
        [undefined, "endTransaction"], [{ msgId: "x" }, "endTransaction.state"], [{ msgId: "x", state: "UNKNOWN" }, "endTransaction.state"], [{ msgId: "", state: "COMMIT" }, "endTransaction.msgId"], [{ msgId: 7, state: "COMMIT" }, "endTransaction.msgId"],
      ] as const) {
        await expect(mq.admin.endTransaction(options as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
      }
    }));
});

describe("endTransaction", () => {
  test("by an operator, whosever it is: visible when committed, never when rolled back; once for all, and told", () =>
    inTime(async (world) => {
      world.broker = { ...world.broker, traceEnable: true };
      const [tab, mq] = [await world.tab(), await world.tab()];
      const producer = await undecided(world, tab);
      const [good, bad] = [await producer.sendMessageInTransaction({ topic: "t", body: "good" }), await producer.sendMessageInTransaction({ topic: "t", body: "bad" })];
      // The tab that knew is gone.
      world.origin.killTab(tab);
      await mq.admin.endTransaction({ msgId: good.msgId, state: "COMMIT" });
      await mq.admin.endTransaction({ msgId: bad.msgId, state: "ROLLBACK" });
      expect([await world.texts(mq), await pending(mq), await ids(mq)]).toEqual([["good"], 0, []]);
      // As the producer's own decision would be.
      const [message] = await world.read(mq);
      expect(message).toMatchObject({ msgId: good.msgId, transactionId: good.msgId, sysFlag: 8 });
      const ends = (await mq.admin.messageTrace(good.msgId)).events.filter(({ type }) => type === "END_TRANSACTION");
      expect(ends.at(-1)).toMatchObject({ transactionState: "COMMIT", group: "pg" });
      // The same once more is nothing more.
      await mq.admin.endTransaction({ msgId: good.msgId, state: "COMMIT" });
      await mq.admin.endTransaction({ msgId: bad.msgId, state: "ROLLBACK" });
      const refused = { code: "ILLEGAL_OPERATION", field: "endTransaction.state", outcome: "rejected" };
      await expect(mq.admin.endTransaction({ msgId: good.msgId, state: "ROLLBACK" })).rejects.toMatchObject({ ...refused, message: expect.stringContaining("COMMIT") });
      await expect(mq.admin.endTransaction({ msgId: bad.msgId, state: "COMMIT" })).rejects.toMatchObject(refused);
      expect(await world.texts(mq)).toEqual(["good"]);
      await world.origin.time.sleep(100 * SECOND);
      expect(world.checks).toEqual([]);
    }));

  test("after a crash it stays as it was decided", async () => {
    const disk = new MemoryDisk();
    await inTime(async (world) => {
      const mq = await world.tab();
      const producer = await undecided(world, mq);
      const sent = [await producer.sendMessageInTransaction({ topic: "t", body: "good" }), await producer.sendMessageInTransaction({ topic: "t", body: "bad" })];
      await mq.admin.endTransaction({ msgId: sent[0]!.msgId, state: "COMMIT" });
      await mq.admin.endTransaction({ msgId: sent[1]!.msgId, state: "ROLLBACK" });
      world.origin.killAll();
      const next = await world.tab();
      expect([await world.texts(next), await pending(next)]).toEqual([["good"], 0]);
      await next.admin.endTransaction({ msgId: sent[0]!.msgId, state: "COMMIT" });
      await expect(next.admin.endTransaction({ msgId: sent[1]!.msgId, state: "COMMIT" })).rejects.toMatchObject({ code: "ILLEGAL_OPERATION" });
    }, disk);
  });

  test("the producer that comes later learns how it ended", () =>
    inTime(async (world) => {
      const [tab, mq] = [await world.tab(), await world.tab()];
      let isOver = (): void => {};
      const held = new Promise<void>((resolve) => (isOver = resolve));
      const producer = await world.producer(tab, "a", async () => {
        await held;
        return "COMMIT";
      }, never);
      const sent = producer.sendMessageInTransaction({ topic: "t", body: "x" });
      while ((await ids(mq)).length === 0) await world.origin.time.sleep(10);
      const [msgId] = await ids(mq);
      await mq.admin.endTransaction({ msgId: msgId!, state: "ROLLBACK" });
      isOver();
      await expect(sent).rejects.toMatchObject({ code: "ILLEGAL_OPERATION", message: expect.stringContaining("ROLLBACK") });
      expect(await world.texts(mq).catch(() => [])).toEqual([]);
    }));

  test("one whose time for the producer's own word is over may still be decided", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await undecided(world, mq);
      const { msgId } = await producer.sendMessageInTransaction({ topic: "t", body: "x", properties: { CHECK_IMMUNITY_TIME_IN_SECONDS: "1" } });
      await producer.shutdown();
      await world.origin.time.sleep(100 * SECOND);
      await expect(world.ends(mq)({ producerGroup: "pg", transactionId: msgId, state: "COMMIT", fromCheck: false })).rejects.toMatchObject({ code: "ILLEGAL_OPERATION" });
      await mq.admin.endTransaction({ msgId, state: "COMMIT" });
      expect(await world.texts(mq)).toEqual(["x"]);
    }));

  test("two operators at once: one decides, both know", () =>
    inTime(async (world) => {
      const [mq, other] = [await world.tab(), await world.tab()];
      const { msgId } = await (await undecided(world, mq)).sendMessageInTransaction({ topic: "t", body: "x" });
      const outcomes = await Promise.allSettled([mq.admin.endTransaction({ msgId, state: "COMMIT" }), other.admin.endTransaction({ msgId, state: "ROLLBACK" })]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(await world.texts(mq).catch(() => [])).toEqual(outcomes[0].status === "fulfilled" ? ["x"] : []);
    }));

  test("what is no transaction, or is gone, is refused", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const { msgId } = await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "x" });
      for (const id of [msgId, "F".repeat(32), "__proto__"]) {
        for (const state of ["COMMIT", "ROLLBACK"] as const) {
          await expect(mq.admin.endTransaction({ msgId: id, state })).rejects.toMatchObject({ code: "NO_MESSAGE", field: "msgId", outcome: "rejected" });
        }
      }
      expect(await world.texts(mq)).toEqual(["x"]);
      // No other group may: that is the operator's alone.
      const half = await (await undecided(world, mq)).sendMessageInTransaction({ topic: "t", body: "y" });
      await expect(world.ends(mq)({ producerGroup: "other", transactionId: half.msgId, state: "COMMIT", fromCheck: false })).rejects.toMatchObject({ code: "SYSTEM_ERROR" });
      await mq.admin.deleteTopic("t");
      // Nobody can be given it: it is open until somebody looks, and cannot be committed.
      const error = await mq.admin.endTransaction({ msgId: half.msgId, state: "COMMIT" }).catch((thrown: MQError) => thrown);
      expect(error).toMatchObject({ code: expect.stringMatching(/ILLEGAL_OPERATION|NO_MESSAGE|TOPIC_NOT_EXIST/) });
      expect(await world.texts(mq).catch(() => [])).toEqual([]);
    }));

  test("a full store: rolled back all the same, and not committed before there is room", () =>
    inTime(async (world) => {
      let isFull = false;
      world.makeStore = () => new FullStore(world.disk, () => isFull);
      world.hasHoles = true;
      const mq = await world.tab();
      const producer = await undecided(world, mq);
      const [one, two] = [await producer.sendMessageInTransaction({ topic: "t", body: "one" }), await producer.sendMessageInTransaction({ topic: "t", body: "two" })];
      isFull = true;
      await expect(mq.admin.endTransaction({ msgId: one.msgId, state: "COMMIT" })).rejects.toMatchObject({ code: "STORAGE_FULL" });
      await mq.admin.endTransaction({ msgId: two.msgId, state: "ROLLBACK" });
      // No record says so.
      await mq.admin.endTransaction({ msgId: two.msgId, state: "ROLLBACK" });
      await expect(mq.admin.endTransaction({ msgId: two.msgId, state: "COMMIT" })).rejects.toMatchObject({ code: "ILLEGAL_OPERATION" });
      expect(await ids(mq)).toEqual([one.msgId]);
      isFull = false;
      await mq.admin.endTransaction({ msgId: one.msgId, state: "COMMIT" });
      expect(await world.texts(mq)).toEqual(["one"]);
    }));

  test("control: answered and not carried out, it is open after a crash", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const { msgId } = await (await undecided(world, mq)).sendMessageInTransaction({ topic: "t", body: "x" });
      vi.spyOn(TransactionService.prototype, "end").mockResolvedValue({ state: "ROLLBACK" });
      await mq.admin.endTransaction({ msgId, state: "ROLLBACK" });
      world.origin.killAll();
      expect(await ids(await world.tab())).toEqual([msgId]);
    }));
});

test("the log has one record that says how it ended, as of a producer's decision", () =>
  inTime(async (world) => {
    const mq = await world.tab();
    const { msgId } = await (await undecided(world, mq)).sendMessageInTransaction({ topic: "t", body: "x" });
    await Promise.all([mq.admin.endTransaction({ msgId, state: "COMMIT" }), mq.admin.endTransaction({ msgId, state: "COMMIT" })]);
    const found = await mq.admin.queryMessages({ topic: OP_TOPIC, key: msgId });
    expect(found.map(({ keys }) => keys)).toEqual([[msgId]]);
    expect(await world.texts(mq)).toEqual(["x"]);
  }));
