/** Messages that become visible if and only if a local transaction succeeds, in virtual time. */
import { describe, expect, test, vi } from "vitest";
import { Inboxes } from "../../src/broker/inbox.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { TransactionChecks } from "../../src/broker/transaction-checks.ts";
import { type Message, type MessageExt, MQError } from "../../src/index.ts";
import { HALF_TOPIC, OP_TOPIC, TRANS_CHECK_MAX_TIME_TOPIC } from "../../src/model/system-names.ts";
import { MAX_PENDING_TRANSACTIONS } from "../../src/model/limits.ts";
import { draftMessage } from "../../src/model/message.ts";
import { encodeProperties, PROPERTY } from "../../src/model/properties.ts";
import { encodeTopic } from "../../src/model/record-codec.ts";
import { FRAME_DIVERTED, FrameWriter } from "../../src/protocol/frame.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { FullStore, inTime, never, pending } from "../support/transaction-world.ts";

const SECOND = 1000;
const HOUR = 3_600_000;

describe("the local transaction decides", () => {
  test("commit: visible once, as it was sent; rollback: never; nothing before the end", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const seen: unknown[] = [];
      const producer = await world.producer(mq, "a", async (message, arg, { transactionId }) => {
        seen.push([message.topic, arg, typeof transactionId, await world.texts(mq).catch(() => [])]);
        return arg;
      }, never);
      const given = { topic: "t", body: "committed", tags: "x", keys: ["k"], properties: { color: "red" }, messageGroup: "m" };
      const committed = await producer.sendMessageInTransaction(given, "COMMIT");
      const rolledBack = await producer.sendMessageInTransaction({ topic: "t", body: "rolled back" }, "ROLLBACK");
      expect(seen).toEqual([["t", "COMMIT", "string", []], ["t", "ROLLBACK", "string", ["committed"]]]);
      expect([committed.localTransactionState, rolledBack.localTransactionState]).toEqual(["COMMIT", "ROLLBACK"]);
      expect(committed).toMatchObject({ sendStatus: "SEND_OK", transactionId: committed.msgId, messageQueue: { topic: "t" } });
      await world.origin.time.sleep(100 * SECOND);
      const [message, ...more] = await world.read(mq);
      expect(more).toEqual([]);
      expect(message).toMatchObject({
        topic: "t", msgId: committed.msgId, transactionId: committed.msgId, tags: "x", keys: ["k"], messageGroup: "m", reconsumeTimes: 0, sysFlag: 8,
        queueId: committed.messageQueue.queueId,
      });
      expect({ ...message!.properties }).toEqual({ color: "red" });
      expect(message!.preparedTransactionOffset).toBeGreaterThanOrEqual(0);
      expect(message!.offsetMsgId).not.toBe(committed.offsetMsgId);
      expect(await pending(mq)).toBe(0);
      expect(world.checks).toEqual([]);
    }));

  test("half messages and op records are nobody's to read or to write", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => "UNKNOWN");
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      const pull = await mq.createPullConsumer({ consumerGroup: "spy" });
      for (const topic of [HALF_TOPIC, OP_TOPIC]) {
        await expect(producer.send({ topic, body: "x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
        await expect(pull.pull({ topic, brokerName: "broker-a", queueId: 0 }, "*", 0, 1)).rejects.toMatchObject({ code: expect.stringMatching(/NO_PERMISSION|TOPIC_NOT_EXIST/) });
      }
      const consumer = await mq.createPushConsumer({ consumerGroup: "spies", subscriptions: { [HALF_TOPIC]: "*", t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: never });
      await world.origin.time.sleep(SECOND);
      expect(consumer.assignment().map(({ topic }) => topic)).not.toContain(HALF_TOPIC);
      expect(await pending(mq)).toBe(1);
    }));
});

describe("checks", () => {
  test("one after the other, until somebody knows", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const answers = ["UNKNOWN", "UNKNOWN", "COMMIT"];
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => answers.shift());
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(200 * SECOND);
      expect(world.checks.map(({ at, text }) => [Math.round(at / SECOND), text])).toEqual([[30, "x"], [60, "x"], [90, "x"]]);
      expect(await world.texts(mq)).toEqual(["x"]);
    }));

  test("what the check is given is the message, as it would be", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      let seen: MessageExt | null = null;
      const producer = await world.producer(mq, "a", () => "UNKNOWN", (message) => {
        seen = message;
        return "ROLLBACK";
      });
      const { transactionId, messageQueue } = await producer.sendMessageInTransaction({ topic: "t", body: { n: 1 }, tags: "x", properties: { color: "red" } });
      await world.origin.time.sleep(31 * SECOND);
      expect(seen).toMatchObject({ topic: "t", queueId: messageQueue.queueId, msgId: transactionId, transactionId, tags: "x" });
      expect({ ...seen!.properties }).toEqual({ color: "red" });
      expect(seen!.json()).toEqual({ n: 1 });
    }));

  test("the tab that sent it dies: another of its group is asked, and none of another group", () =>
    inTime(async (world) => {
      const [first, second, third] = [await world.tab(), await world.tab(), await world.tab()];
      const producer = await world.producer(first, "first", () => new Promise(() => {}), never);
      await world.producer(second, "second", never, () => "COMMIT");
      await world.producer(third, "third", never, never, "others");
      void producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(SECOND);
      world.origin.killTab(first);
      await world.origin.time.sleep(31 * SECOND);
      expect(world.checks).toMatchObject([{ tab: "second", text: "x" }]);
      expect(await world.texts(second)).toEqual(["x"]);
    }));

  test("who is asked and dies without an answer is replaced at once; who freezes, soon", () =>
    inTime(async (world) => {
      const [sender, dying, answering] = [await world.tab(), await world.tab(), await world.tab()];
      const producer = await world.producer(sender, "sender", () => "UNKNOWN", never);
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await producer.shutdown();
      await world.producer(dying, "dying", never, () => new Promise(() => {}));
      await world.origin.time.sleep(30 * SECOND);
      expect(world.checks).toMatchObject([{ tab: "dying" }]);
      await world.producer(answering, "answering", never, () => "ROLLBACK");
      await world.origin.time.sleep(SECOND);
      expect(world.checks).toHaveLength(1);
      world.origin.killTab(dying);
      await world.origin.time.sleep(SECOND);
      expect(world.checks).toMatchObject([{ tab: "dying" }, { tab: "answering" }]);
      expect([await pending(sender), await world.texts(sender).catch(() => [])]).toEqual([0, []]);
    }));

  test("control: where the broker does not look who has gone, nobody is asked until the next round", () =>
    inTime(async (world) => {
      vi.spyOn(TransactionChecks.prototype, "gone").mockImplementation(() => {});
      const [dying, answering] = [await world.tab(), await world.tab()];
      const producer = await world.producer(dying, "dying", () => "UNKNOWN", () => new Promise(() => {}));
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(30 * SECOND);
      await world.producer(answering, "answering", never, () => "ROLLBACK");
      world.origin.killTab(dying);
      await world.origin.time.sleep(SECOND);
      vi.restoreAllMocks();
      expect(world.checks).toMatchObject([{ tab: "dying" }]);
      await world.origin.time.sleep(30 * SECOND);
      expect(world.checks).toMatchObject([{ tab: "dying" }, { tab: "answering" }]);
    }));

  test("a tab that is there and says nothing is passed over after a while, and its check does not count", () =>
    inTime(async (world) => {
      const [silent, answering] = [await world.tab(), await world.tab()];
      const producer = await world.producer(silent, "silent", () => "UNKNOWN", never);
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.producer(answering, "answering", never, () => "COMMIT");
      vi.spyOn(Inboxes.prototype, "tell").mockImplementationOnce((_session, _content, onEnd) => {
        world.origin.time.after(5 * SECOND, () => onEnd("silent"));
        return true;
      });
      await world.origin.time.sleep(34 * SECOND);
      expect(world.checks).toEqual([]);
      await world.origin.time.sleep(3 * SECOND);
      expect(world.checks).toMatchObject([{ tab: "answering" }]);
      expect(await world.texts(answering)).toEqual(["x"]);
    }));

  test("while nobody is there nothing counts; who comes is asked at once", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", never);
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await producer.shutdown();
      await world.origin.time.sleep(3600 * SECOND);
      expect(await pending(mq)).toBe(1);
      await world.producer(mq, "later", never, () => "COMMIT");
      await world.origin.time.sleep(SECOND);
      expect([world.checks.length, await world.texts(mq)]).toEqual([1, ["x"]]);
    }));

  test("after the last check it is rolled back, and a copy is kept; the number of checks outlives the broker", () =>
    inTime(async (world) => {
      world.broker = { transactionCheckMax: 4, transactionTimeout: 1000, transactionCheckInterval: 2000 };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => "UNKNOWN");
      const { transactionId } = await producer.sendMessageInTransaction({ topic: "t", body: "x", properties: { p: "1" } });
      await world.origin.time.sleep(5 * SECOND);
      expect(world.checks).toHaveLength(2);
      world.origin.killWorker();
      await world.origin.time.sleep(20 * SECOND);
      expect(world.checks).toHaveLength(4);
      const [copy, ...more] = await world.read(mq, TRANS_CHECK_MAX_TIME_TOPIC);
      expect(more).toEqual([]);
      expect(copy).toMatchObject({ msgId: transactionId, properties: { p: "1", REAL_TOPIC: "t", TRANSACTION_CHECK_TIMES: "4" } });
      expect([await pending(mq), await world.texts(mq)]).toEqual([0, []]);
    }));

  test("control: where the broker forgets its checks, the next one counts from the beginning", async () => {
    const disk = new MemoryDisk();
    await inTime(async (world) => {
      world.broker = { transactionCheckMax: 4, transactionTimeout: 1000, transactionCheckInterval: 2000 };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => "UNKNOWN");
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(5 * SECOND);
      world.origin.killWorker();
      disk.state.delete("transaction/checks");
      await world.origin.time.sleep(20 * SECOND);
      expect(world.checks).toHaveLength(6);
    }, disk);
  });

  test("no check before its own time; and an end that comes later than that is refused, so that the check decides", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", async () => {
        await world.origin.time.sleep(50 * SECOND);
        return "ROLLBACK";
      }, () => "COMMIT");
      const sent = producer.sendMessageInTransaction({ topic: "t", body: "x", properties: { CHECK_IMMUNITY_TIME_IN_SECONDS: "45" } });
      await world.origin.time.sleep(49 * SECOND);
      expect(world.checks).toEqual([]);
      expect((await sent).localTransactionState).toBe("ROLLBACK");
      expect(world.errors).toMatchObject([{ code: "ILLEGAL_OPERATION" }]);
      await world.origin.time.sleep(20 * SECOND);
      expect(world.checks.map(({ at }) => Math.round(at / SECOND))).toEqual([60]);
      expect(await world.texts(mq)).toEqual(["x"]);
    }));

  test.each([["an hour", HOUR], ["longer than messages are kept", 400 * 24 * HOUR]])("the clock is set back by %s before: the local transaction has its time all the same", (_by, jump) =>
    inTime(async (world) => {
      const { time } = world.origin;
      const mq = await world.tab();
      const wall = time.now.bind(time);
      const producer = await world.producer(mq, "a", async () => {
        await time.sleep(4 * SECOND);
        return "COMMIT";
      }, never);
      vi.spyOn(time, "now").mockImplementation(() => wall() - jump);
      await time.sleep(SECOND);
      expect(await producer.sendMessageInTransaction({ topic: "t", body: "x" })).toMatchObject({ localTransactionState: "COMMIT" });
      expect(await world.texts(mq)).toEqual(["x"]);
    }));

  test.each([["nobody has been asked", 5 * SECOND], ["somebody has", 65 * SECOND]])("the clock is set back between two brokers, when %s: the next one asks soon, not when the clock has caught up", (_who, before) =>
    inTime(async (world) => {
      const { time } = world.origin;
      const wall = time.now.bind(time);
      const clock = vi.spyOn(time, "now").mockImplementation(() => wall() + 400 * 24 * HOUR);
      const first = await world.producer(await world.tab(), "a", () => "UNKNOWN", () => "UNKNOWN");
      await first.sendMessageInTransaction({ topic: "t", body: "x" });
      await time.sleep(before);
      const asked = world.checks.length;
      world.origin.killAll();
      clock.mockRestore();
      const mq = await world.tab();
      await world.producer(mq, "b", never, () => "COMMIT");
      await time.sleep(40 * SECOND);
      expect([world.checks.slice(asked).map(({ tab }) => tab), await world.texts(mq)]).toEqual([["b"], ["x"]]);
    }));

  test("many at once: each is asked about once", () =>
    inTime(async (world) => {
      const [mq, other] = [await world.tab(), await world.tab()];
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => "COMMIT");
      await world.producer(other, "b", never, () => "COMMIT");
      const texts = Array.from({ length: 400 }, (_, at) => `${at}`).sort();
      await Promise.all(texts.map((body) => producer.sendMessageInTransaction({ topic: "t", body })));
      expect(await pending(mq)).toBe(400);
      await world.origin.time.sleep(60 * SECOND);
      expect(await world.texts(mq)).toEqual(texts);
      expect(world.checks).toHaveLength(400);
      expect(world.checks.filter(({ tab }) => tab === "b").length).toBeGreaterThan(100);
    }));
});

describe("ends that do not fit", () => {
  test("another group's, a made-up id, the same again, and the opposite", () =>
    inTime(async (world) => {
      const [mq, other] = [await world.tab(), await world.tab()];
      const producer = await world.producer(mq, "a", (_, arg) => arg, never);
      const open = await producer.sendMessageInTransaction({ topic: "t", body: "open" }, "UNKNOWN");
      const done = await producer.sendMessageInTransaction({ topic: "t", body: "done" }, "COMMIT");
      const undone = await producer.sendMessageInTransaction({ topic: "t", body: "undone" }, "ROLLBACK");
      const ends = world.ends(other);
      const wish = (transactionId: string, state: string, producerGroup = "pg"): Promise<unknown> => ends({ producerGroup, transactionId, state, fromCheck: false });
      await expect(wish(open.transactionId, "COMMIT", "others")).rejects.toMatchObject({ code: "SYSTEM_ERROR", field: "group" });
      await expect(wish(done.transactionId, "COMMIT", "others")).rejects.toMatchObject({ code: "SYSTEM_ERROR" });
      await expect(wish("00".repeat(16), "COMMIT")).rejects.toMatchObject({ code: "SYSTEM_ERROR", field: "transactionId" });
      await expect(wish(open.transactionId, "DONE")).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
      for (let again = 0; again < 2; again++) {
        expect(await wish(done.transactionId, "COMMIT")).toEqual({ state: "COMMIT" });
        expect(await wish(done.transactionId, "ROLLBACK")).toEqual({ state: "COMMIT" });
        expect(await wish(undone.transactionId, "COMMIT")).toEqual({ state: "ROLLBACK" });
        expect(await wish(open.transactionId, "UNKNOWN")).toEqual({ state: "UNKNOWN" });
        world.origin.killWorker();
      }
      expect(await world.texts(mq)).toEqual(["done"]);
      expect(await pending(mq)).toBe(1);
      expect(await Promise.all([wish(open.transactionId, "ROLLBACK"), wish(open.transactionId, "COMMIT"), wish(open.transactionId, "COMMIT")])).toEqual(Array.from({ length: 3 }, () => ({ state: "ROLLBACK" })));
      expect(await world.texts(mq)).toEqual(["done"]);
    }));

  test("a local transaction that comes to another end than the checks did is told so", () =>
    inTime(async (world) => {
      const [mq, other] = [await world.tab(), await world.tab()];
      const slow = async (): Promise<string> => {
        await world.origin.time.sleep(100 * SECOND);
        return "COMMIT";
      };
      const producer = await world.producer(mq, "a", slow, () => "ROLLBACK");
      await world.producer(other, "b", never, () => "ROLLBACK");
      await expect(producer.sendMessageInTransaction({ topic: "t", body: "x" })).rejects.toMatchObject({ code: "ILLEGAL_OPERATION", outcome: "rejected", message: expect.stringContaining("ended with ROLLBACK") });
      expect(await world.texts(mq)).toEqual([]);
    }));
});

describe("frames of somebody's own making", () => {
  const ID = "F".repeat(32);
  const half = (flags: number, group = "pg", properties = ""): ArrayBuffer => {
    const draft = draftMessage({ topic: "t", body: "x" }, ID, undefined, [["TRAN_MSG", "true"], ["PGROUP", group]]);
    const all = draft.properties + properties;
    const writer = new FrameWriter(0, flags);
    writer.write({ ...draft, properties: all, propertiesBytes: all.length }, encodeTopic("t"), 0, 1);
    return writer.finish();
  };

  test("the same half message twice is one transaction, which is visible once", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      await mq.admin.createTopic({ topic: "t" });
      const end = (state: string): Promise<unknown> => world.ends(mq)({ producerGroup: "pg", transactionId: ID, state, fromCheck: false });
      for (let again = 0; again < 3; again++) {
        expect((await world.send(mq, half(FRAME_DIVERTED))).refused).toEqual([]);
        if (again === 1) world.origin.killWorker();
      }
      expect(await end("UNKNOWN")).toEqual({ state: "UNKNOWN" });
      expect(await pending(mq)).toBe(1);
      expect(await end("COMMIT")).toEqual({ state: "COMMIT" });
      world.origin.killWorker();
      expect([await end("ROLLBACK"), await pending(mq), await world.texts(mq)]).toEqual([{ state: "COMMIT" }, 0, ["x"]]);
    }));

  test("a half message in an ordinary frame, of no group, or with a place of its own is refused", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      await mq.admin.createTopic({ topic: "t" });
      const refusal = async (frame: ArrayBuffer): Promise<unknown> => (await world.send(mq, frame)).refused[0]?.error;
      expect(await refusal(half(0))).toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringContaining("TRAN_MSG") });
      expect(await refusal(half(FRAME_DIVERTED, "a b"))).toMatchObject({ code: "INVALID_PARAMETER", field: "producerGroup" });
      expect(await refusal(half(FRAME_DIVERTED, "pg", encodeProperties({ REAL_TOPIC: "other" })))).toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringContaining("REAL_TOPIC") });
      expect(await pending(mq)).toBe(0);
    }));
});

describe("bad input", () => {
  test.each([
    ["throws", () => { throw new Error("no"); }, /failed: no/],
    ["rejects", () => Promise.reject(new Error("later")), /failed: later/],
    ["answers nonsense", () => "commit", /answered commit; known answers are "COMMIT"/],
    ["answers an object", () => ({ state: "COMMIT" }), /known answers/],
  ])("a listener that %s leaves it open, and says so", (_, listener, text) =>
    inTime(async (world) => {
      const mq = await world.tab();
      const answers = [listener, () => "COMMIT"];
      const producer = await world.producer(mq, "a", listener, () => answers.shift()!());
      expect(await producer.sendMessageInTransaction({ topic: "t", body: "x" })).toMatchObject({ localTransactionState: "UNKNOWN" });
      await world.origin.time.sleep(70 * SECOND);
      expect(world.checks).toHaveLength(2);
      expect(world.errors.map(({ message }) => message)).toEqual([expect.stringMatching(text), expect.stringMatching(text)]);
      expect(await world.texts(mq)).toEqual(["x"]);
    }));

  test.each([null, undefined])("%s is no answer, and no fault", (answer) =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => answer, () => answer);
      expect(await producer.sendMessageInTransaction({ topic: "t", body: "x" })).toMatchObject({ localTransactionState: "UNKNOWN" });
      expect(world.errors).toEqual([]);
    }));

  test("a check that hangs does not hang the group, nor the shutdown", () =>
    inTime(async (world) => {
      world.broker = { transactionCheckMax: 3, transactionCheckInterval: 2000, transactionTimeout: 1000 };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", () => new Promise(() => {}));
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(20 * SECOND);
      // Asked three times, and once by its listener, which still has the first.
      expect([world.checks.length, await pending(mq)]).toEqual([1, 0]);
      const began = world.elapsed;
      await mq.close();
      expect(world.elapsed - began).toBeLessThan(6 * SECOND);
    }));

  test("a local transaction that hangs is given up at the shutdown, and stays open", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => new Promise(() => {}), never);
      const sent = producer.sendMessageInTransaction({ topic: "t", body: "x" });
      await world.origin.time.sleep(SECOND);
      await producer.shutdown();
      expect(await sent).toMatchObject({ localTransactionState: "UNKNOWN" });
      await expect(producer.sendMessageInTransaction({ topic: "t", body: "y" })).rejects.toMatchObject({ code: "CLOSED" });
      expect(await pending(mq)).toBe(1);
    }));

  test("messages that cannot be sent in a transaction run none", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      await mq.admin.createTopic({ topic: "closed", perm: 4 });
      const producer = await world.producer(mq, "a", never, never);
      const refused = (message: unknown): Promise<unknown> => producer.sendMessageInTransaction(message as Message);
      await expect(refused([{ topic: "t", body: "x" }])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message" });
      await expect(refused(null)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
      await expect(refused({ topic: "t", body: "x", nonsense: 1 })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message.nonsense" });
      await expect(refused({ topic: "t", body: "x", delayTimeLevel: "1" })).rejects.toMatchObject({ field: "message.delayTimeLevel" });
      await expect(refused({ topic: "t", body: "x", properties: { TRAN_MSG: "true" } })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
      await expect(refused({ topic: "closed", body: "x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
      expect(await pending(mq)).toBe(0);
      for (const options of [{}, { executeLocalTransaction: () => "COMMIT" }, { checkLocalTransaction: 1, executeLocalTransaction: 1 }, null]) {
        await expect(mq.createTransactionProducer({ producerGroup: "p", ...options } as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
      }
    }));

  test("where the commit of the half message takes too long nothing local begins, and it is rolled back", () =>
    inTime(async (world) => {
      world.broker = { syncFlushTimeout: 5 };
      let isSlow = false;
      world.makeStore = () => {
        const store = new MemoryStore(world.disk);
        const commit = store.commit.bind(store);
        store.commit = async (batch) => {
          if (isSlow) await world.origin.time.sleep(500);
          return commit(batch);
        };
        return store;
      };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", never, never);
      await mq.admin.createTopic({ topic: "t" });
      isSlow = true;
      const sent = await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      expect(sent).toMatchObject({ sendStatus: "FLUSH_DISK_TIMEOUT", localTransactionState: "ROLLBACK" });
      isSlow = false;
      expect(await pending(mq)).toBe(0);
      await world.origin.time.sleep(100 * SECOND);
      expect([world.checks, world.errors, await world.texts(mq)]).toEqual([[], [], []]);
    }));

  test("a delay level is dropped, waitStoreMsgOK too; a count of checks that is brought along is not believed", () =>
    inTime(async (world) => {
      world.broker = { transactionCheckMax: 5 };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", (_, arg) => arg, () => "COMMIT");
      await producer.sendMessageInTransaction({ topic: "t", body: "now", delayTimeLevel: 18, waitStoreMsgOK: false }, "COMMIT");
      expect(await world.texts(mq)).toEqual(["now"]);
      await producer.sendMessageInTransaction({ topic: "t", body: "counted", properties: { TRANSACTION_CHECK_TIMES: "15" } }, "UNKNOWN");
      await world.origin.time.sleep(40 * SECOND);
      expect(await world.texts(mq)).toEqual(["counted", "now"]);
    }));
});

describe("what stands in the way of a commit", () => {
  test.each([["by the producer", "COMMIT"], ["by a check", "UNKNOWN"]] as const)("its topic was deleted, also where there is another of its name: it is rolled back at its end, %s, and holds up no retention", (_who, answer) =>
    inTime(async (world) => {
      const mq = await world.tab();
      await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
      const producer = await world.producer(mq, "a", async () => {
        await mq.admin.deleteTopic("t");
        await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
        return answer;
      }, never);
      const sent = producer.sendMessageInTransaction({ topic: "t", body: "x" });
      if (answer === "COMMIT") await expect(sent).rejects.toMatchObject({ code: "ILLEGAL_OPERATION" });
      else await sent;
      await world.origin.time.sleep(32 * SECOND);
      expect([await pending(mq), await world.texts(mq), world.errors]).toEqual([0, [], []]);
    }));

  test("its topic is gone: it stays open, is visible once the topic is there again, and else is kept where an operator finds it", () =>
    inTime(async (world) => {
      world.broker = { transactionCheckMax: 3 };
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", (_, arg) => arg, () => "COMMIT");
      await producer.sendMessageInTransaction({ topic: "t", body: "back" }, "UNKNOWN");
      await producer.sendMessageInTransaction({ topic: "gone", body: "gone" }, "UNKNOWN");
      const { topics } = world.origin.host!.broker!;
      const find = topics.find.bind(topics);
      const missing = new Set(["t", "gone"]);
      vi.spyOn(topics, "find").mockImplementation((topic) => (missing.has(topic) ? undefined : find(topic)));
      await world.origin.time.sleep(35 * SECOND);
      expect([world.checks.length, await pending(mq)]).toEqual([2, 2]);
      expect(world.errors).toMatchObject([{ code: "TOPIC_NOT_EXIST" }, { code: "TOPIC_NOT_EXIST" }]);
      missing.delete("t");
      await world.origin.time.sleep(100 * SECOND);
      expect(await world.texts(mq)).toEqual(["back"]);
      expect(await world.texts(mq, TRANS_CHECK_MAX_TIME_TOPIC)).toEqual(["gone"]);
      expect(await pending(mq)).toBe(0);
    }));

  test("a time to be delivered at begins to count with the commit, and one that is too far ahead is refused before the local transaction", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", async (_, arg) => {
        await world.origin.time.sleep(20 * SECOND);
        return arg;
      }, never);
      const sent = await producer.sendMessageInTransaction({ topic: "t", body: "later", deliverAfter: 10 * SECOND }, "COMMIT");
      await producer.sendMessageInTransaction({ topic: "t", body: "never", deliverAfter: 10 * SECOND }, "ROLLBACK");
      expect(await world.texts(mq)).toEqual(["later"]);
      const [message] = await world.read(mq);
      expect(message!.storeTimestamp - world.began).toBeGreaterThanOrEqual(30 * SECOND);
      expect(message).toMatchObject({ msgId: sent.msgId, transactionId: sent.msgId, sysFlag: 8 });
      await world.origin.time.sleep(60 * SECOND);
      expect(await world.texts(mq)).toEqual(["later"]);
      await expect(producer.sendMessageInTransaction({ topic: "t", body: "x", deliverAfter: 1e11 }, "COMMIT")).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
      expect(await pending(mq)).toBe(0);
    }));

  test("no room: a rollback ends it, a commit leaves it open until there is room again; both outlive the broker", () => {
    const disk = new MemoryDisk();
    let isFull = false;
    return inTime(async (world) => {
      world.makeStore = () => new FullStore(disk, () => isFull);
      world.hasHoles = true;
      const mq = await world.tab();
      const decisions: Record<string, (state: string) => void> = {};
      const producer = await world.producer(mq, "a", ({ body }) => new Promise((resolve) => (decisions[body as string] = resolve)), () => "COMMIT");
      const sent = Object.fromEntries(["commit", "rollback"].map((body) => [body, producer.sendMessageInTransaction({ topic: "t", body })]));
      await world.origin.time.sleep(SECOND);
      isFull = true;
      decisions["commit"]!("COMMIT");
      decisions["rollback"]!("ROLLBACK");
      expect(await sent["rollback"]).toMatchObject({ localTransactionState: "ROLLBACK" });
      const { transactionId } = await sent["rollback"]!;
      expect(await sent["commit"]).toMatchObject({ localTransactionState: "COMMIT" });
      expect(world.errors).toMatchObject([{ code: "STORAGE_FULL" }]);
      expect(await pending(mq)).toBe(1);
      world.origin.killWorker();
      expect(await pending(mq)).toBe(1);
      // No record says it, but the half message that is finished does.
      expect(await world.ends(mq)({ producerGroup: "pg", transactionId, state: "COMMIT", fromCheck: false })).toEqual({ state: "ROLLBACK" });
      await world.origin.time.sleep(60 * SECOND);
      expect([world.checks.length, await pending(mq)]).toEqual([expect.any(Number), 1]);
      isFull = false;
      await world.origin.time.sleep(60 * SECOND);
      expect([await world.texts(mq), await pending(mq)]).toEqual([["commit"], 0]);
    }, disk);
  });

  test("control: where a rollback needs room, it is still open", () => {
    const disk = new MemoryDisk();
    let isFull = false;
    return inTime(async (world) => {
      world.makeStore = () => new FullStore(disk, () => isFull);
      world.hasHoles = true;
      const mq = await world.tab();
      vi.spyOn(Offsets.prototype, "finishByFact").mockRejectedValue(new MQError("STORAGE_FULL", "full"));
      const producer = await world.producer(mq, "a", () => {
        isFull = true;
        return "ROLLBACK";
      }, never);
      await producer.sendMessageInTransaction({ topic: "t", body: "x" });
      expect(await pending(mq)).toBe(1);
      vi.restoreAllMocks();
    }, disk);
  });

  test("there is an end to how many may be open", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", () => "UNKNOWN", never);
      const [first] = await Promise.all(Array.from({ length: 10 }, () => producer.sendMessageInTransaction({ topic: "t", body: "x" })));
      // However many come in one frame.
      const writer = new FrameWriter(0, FRAME_DIVERTED);
      const half = (at: number): ReturnType<typeof draftMessage> =>
        draftMessage({ topic: "t", body: "x" }, `${at}`.padStart(32, "0"), undefined, [[PROPERTY.TRAN_MSG, "true"], [PROPERTY.PGROUP, "pg"]]);
      for (let at = 0; at < MAX_PENDING_TRANSACTIONS; at++) writer.write(half(at), encodeTopic("t"), 0, world.origin.time.now());
      const { refused } = await world.send(mq, writer.finish());
      expect([refused.length, await pending(mq)]).toEqual([10, MAX_PENDING_TRANSACTIONS]);
      await expect(producer.sendMessageInTransaction({ topic: "t", body: "y" })).rejects.toMatchObject({ code: "FLOW_CONTROL", retriable: true });
      await world.ends(mq)({ producerGroup: "pg", transactionId: first!.transactionId, state: "COMMIT", fromCheck: false });
      await producer.sendMessageInTransaction({ topic: "t", body: "y" });
      await expect(producer.sendMessageInTransaction({ topic: "t", body: "z" })).rejects.toMatchObject({ code: "FLOW_CONTROL" });
    }));
});

describe("elsewhere", () => {
  test("what is open is exported, and is open where it is imported: there it is checked and visible", async () => {
    const chunks: Uint8Array[] = [];
    await inTime(async (world) => {
      const mq = await world.tab();
      const producer = await world.producer(mq, "a", (_, arg) => arg, never);
      await producer.sendMessageInTransaction({ topic: "t", body: "open" }, "UNKNOWN");
      await producer.sendMessageInTransaction({ topic: "t", body: "done" }, "COMMIT");
      for await (const chunk of mq.admin.exportLog() as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
    });
    await inTime(async (world) => {
      const mq = await world.tab();
      await mq.admin.importLog(new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk);
          controller.close();
        },
      }));
      expect([await world.texts(mq), await pending(mq)]).toEqual([["done"], 1]);
      await world.producer(mq, "b", never, () => "COMMIT");
      await world.origin.time.sleep(40 * SECOND);
      expect([await world.texts(mq), await pending(mq)]).toEqual([["done", "open"], 0]);
    });
  });
});

describe("several producers", () => {
  test("of one tab and one group: the other one answers when the first is shut down", () =>
    inTime(async (world) => {
      const mq = await world.tab();
      const first = await world.producer(mq, "first", () => "UNKNOWN", never);
      await world.producer(mq, "second", never, () => "COMMIT");
      await first.sendMessageInTransaction({ topic: "t", body: "x" });
      await first.shutdown();
      await world.origin.time.sleep(35 * SECOND);
      expect(world.checks).toMatchObject([{ tab: "second" }]);
      expect(await world.texts(mq)).toEqual(["x"]);
    }));
});
