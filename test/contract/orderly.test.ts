/** Promise 3: per queue in the order of sending; an orderly consumer never sees n+1 before n is finished or a dead letter. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Groups } from "../../src/broker/groups.ts";
import { GroupMember } from "../../src/client/group-member.ts";
import { ListenerRunner } from "../../src/client/listener-runner.ts";
import type { ConsumeContext, MessageExt, Producer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms 1ms 1ms" } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

type Listener = (message: MessageExt, context: ConsumeContext) => ReturnType<NonNullable<PushConsumerOptions["messageListener"]>>;

function consume(listener: Listener, options: Partial<PushConsumerOptions> = {}, tab = mq) {
  return tab.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", orderly: true, suspendCurrentQueueTime: 10, messageListener: listener, ...options,
  });
}

async function send(count: number, from = 0): Promise<void> {
  for (let at = from; at < from + count; at++) await producer.send({ topic: "t", body: `${at}` });
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`);
const isDone = async (): Promise<boolean> => (await mq.admin.consumeStats("g")).diffTotal === 0;

/** What the listeners of a group see, and what of it breaks the order. */
class Witness {
  readonly seen: string[] = [];
  readonly broken: string[] = [];
  readonly #over = new Set<string>();
  readonly #busy = new Set<number>();

  begin({ queueId, queueOffset }: MessageExt): void {
    const place = `${queueId}:${queueOffset}`;
    this.seen.push(place);
    if (this.#busy.has(queueId)) this.broken.push(`${place} while another of its queue is being worked on`);
    if (queueOffset > 0 && !this.#over.has(`${queueId}:${queueOffset - 1}`)) this.broken.push(`${place} before the one before it is finished`);
    this.#busy.add(queueId);
  }

  end({ queueId, queueOffset }: MessageExt, isOver: boolean): void {
    this.#busy.delete(queueId);
    if (isOver) this.#over.add(`${queueId}:${queueOffset}`);
  }
}

describe("a failure", () => {
  test.each([
    ["RECONSUME_LATER", () => "RECONSUME_LATER" as const],
    ["SUSPEND_CURRENT_QUEUE_A_MOMENT", () => "SUSPEND_CURRENT_QUEUE_A_MOMENT" as const],
    ["null", () => null],
    ["a throw", () => { throw new Error("no"); }],
    ["a timeout", () => new Promise<void>(() => {})],
  ])("%s: the queue rests, and the same message is tried again before the next", async (_name, failure) => {
    const seen: { text: string; attempt: number; reconsumeTimes: number; at: number }[] = [];
    const consumer = await consume(
      (message, { attempt }) => {
        seen.push({ text: message.text(), attempt, reconsumeTimes: message.reconsumeTimes, at: performance.now() });
        return message.text() === "1" && attempt < 3 ? failure() : undefined;
      },
      { consumeTimeout: 40, suspendCurrentQueueTime: 60 },
    );
    consumer.on("error", () => {});
    await send(4);
    await until(() => seen.length === 6);
    expect(seen.map(({ text, attempt }) => `${text} ${attempt}`)).toEqual(["0 1", "1 1", "1 2", "1 3", "2 1", "3 1"]);
    expect(seen.map(({ reconsumeTimes }) => reconsumeTimes)).toEqual([0, 0, 1, 2, 0, 0]);
    expect(seen[2]!.at - seen[1]!.at).toBeGreaterThanOrEqual(59);
    await until(isDone);
    // Nothing goes through the retry topic.
    expect((await mq.admin.topics()).map(({ topic }) => topic)).toEqual(["t"]);
  });

  test("context.suspend says for how long, within 10 ms and 30 s", async () => {
    const at: number[] = [];
    await consume((_message, context) => {
      at.push(performance.now());
      context.suspend(at.length === 1 ? 100 : 0);
      return at.length < 3 ? "SUSPEND_CURRENT_QUEUE_A_MOMENT" : undefined;
    }, { suspendCurrentQueueTime: 5000 });
    await send(1);
    await until(() => at.length === 3);
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(99);
    expect(at[2]! - at[1]!).toBeGreaterThanOrEqual(9);
    expect(at[2]! - at[1]!).toBeLessThan(4000);
  });

  test("once too often: it is a dead letter, with the reason and the count, before the next is begun", async () => {
    const seen: string[] = [];
    let deadBefore2 = -1;
    const consumer = await consume(
      async (message, { attempt }) => {
        seen.push(`${message.text()} ${attempt}`);
        if (message.text() === "2") deadBefore2 = (await mq.admin.deadLetters("g")).length;
        if (message.text() === "1") throw new Error(`no ${attempt}`);
      },
      { maxReconsumeTimes: 2 },
    );
    consumer.on("error", () => {});
    await send(3);
    await until(() => seen.length === 5 && deadBefore2 >= 0);
    expect(seen).toEqual(["0 1", "1 1", "1 2", "1 3", "2 1"]);
    expect(deadBefore2).toBe(1);
    const [letter] = await mq.admin.deadLetters("g");
    expect(letter).toMatchObject({ reconsumeTimes: 3, properties: { DLQ_ORIGIN_TOPIC: "t", DLQ_ERROR: "no 3" } });
    await until(isDone);
    // Resent, it comes by the retry topic.
    await mq.admin.resendDeadLetters({ group: "g" });
    await until(() => seen.length === 8);
    expect(seen.slice(5)).toEqual(["1 1", "1 2", "1 3"]);
  });

  test("a negative level: a dead letter at once", async () => {
    const seen: string[] = [];
    await consume((message, context) => {
      seen.push(message.text());
      if (message.text() !== "0") return;
      context.delayLevelWhenNextConsume = -1;
      return "RECONSUME_LATER";
    });
    await send(2);
    await until(() => seen.length === 2);
    expect(seen).toEqual(["0", "1"]);
    expect((await mq.admin.deadLetters("g")).map((letter) => letter.text())).toEqual(["0"]);
  });

  test("other queues go on meanwhile, as many at once as consumeConcurrency says", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
    const seen: string[] = [];
    let [running, most] = [0, 0];
    await consume(async ({ queueId }) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      if (queueId === 0) return "RECONSUME_LATER";
      seen.push(`${queueId}`);
    }, { consumeConcurrency: 2 });
    const queues = [0, 1, 2, 3].map((queueId) => ({ topic: "t", brokerName: "broker-a", queueId }));
    await Promise.all(queues.flatMap((queue) => numbers(5).map((body) => producer.send({ topic: "t", body }, { queue }))));
    await until(() => seen.length === 15);
    expect(new Set(seen)).toEqual(new Set(["1", "2", "3"]));
    expect(most).toBe(2);
  });
});

describe("batches", () => {
  test("in order, up to the size; what fails comes again with what was behind it", async () => {
    const batches: string[][] = [];
    let failed = 0;
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", orderly: true, suspendCurrentQueueTime: 10, consumeMessageBatchMaxSize: 3,
      batchListener: (messages, context) => {
        batches.push(messages.map((message) => message.text()));
        // Of the first batch, only the first message.
        if (failed++ === 0) context.ackIndex = 0;
      },
    });
    consumer.suspend();
    await send(5);
    await until(async () => (await mq.admin.consumeStats("g")).queues.some(({ inflight }) => inflight === 5));
    consumer.resume();
    await until(isDone);
    expect(batches).toEqual([["0", "1", "2"], ["1", "2", "3"], ["4"]]);
  });
});

describe("autoCommit = false", () => {
  test("COMMIT commits what was consumed since; ROLLBACK begins it again", async () => {
    const seen: string[] = [];
    const offsets: number[] = [];
    let rolledBack = false;
    await consume(async (message, context) => {
      context.autoCommit = false;
      seen.push(message.text());
      if (message.text() === "2" && !rolledBack) {
        rolledBack = true;
        return "ROLLBACK";
      }
      if (message.text() === "3") {
        await new Promise((resolve) => setTimeout(resolve, 250));
        offsets.push((await mq.admin.consumeStats("g")).queues.find(({ topic }) => topic === "t")!.consumerOffset);
        return "COMMIT";
      }
      return "SUCCESS";
    });
    await send(5);
    await until(() => seen.length === 8);
    expect(seen).toEqual(["0", "1", "2", "0", "1", "2", "3", "4"]);
    expect(offsets).toEqual([0]);
    await until(async () => (await mq.admin.consumeStats("g")).queues.some(({ topic, consumerOffset }) => topic === "t" && consumerOffset === 4));
  });

  test("what is not committed counts for pullThresholdForQueue: a listener that never commits is given no more than that", async () => {
    await send(30);
    const given = new Map<string, number>();
    const never = (group: string, options: Partial<PushConsumerOptions>) => consume((_message, context) => {
      context.autoCommit = false;
      given.set(group, (given.get(group) ?? 0) + 1);
      return "SUCCESS";
    }, { consumerGroup: group, pullBatchSize: 4, ...options });
    await never("bounded", { pullThresholdForQueue: 4 });
    await until(() => given.get("bounded") === 4);
    await never("control", {});
    await until(() => given.get("control") === 30);
    expect(given.get("bounded")).toBe(4);
  });

  test("what is not committed comes again to the next owner", async () => {
    const first = await consume((_message, context) => {
      context.autoCommit = false;
      return "SUCCESS";
    });
    await send(3);
    await until(async () => (await mq.admin.consumeStats("g")).queues.some(({ inflight }) => inflight === 3));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await first.shutdown();
    const seen: string[] = [];
    await consume((message) => void seen.push(message.text()));
    await until(() => seen.length === 3);
    expect(seen).toEqual(["0", "1", "2"]);
  });
});

describe("handover", () => {
  /** Members come and go while listeners are slow and fail at times. */
  async function churn(options: Partial<PushConsumerOptions> = {}): Promise<Witness> {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 3, writeQueueNums: 3 });
    const witness = new Witness();
    const listener: Listener = async (message, { attempt }) => {
      witness.begin(message);
      await new Promise((resolve) => setTimeout(resolve, 3 + (message.queueOffset % 5) * 4));
      const fails = attempt === 1 && message.queueOffset % 3 === 1;
      witness.end(message, !fails);
      return fails ? "RECONSUME_LATER" : undefined;
    };
    const queues = [0, 1, 2].map((queueId) => ({ topic: "t", brokerName: "broker-a", queueId }));
    const first = await consume(listener, options);
    const sent = Promise.all(queues.map(async (queue) => {
      for (const body of numbers(24)) await producer.send({ topic: "t", body }, { queue });
    }));
    const tabs = await Promise.all([origin.connect(), origin.connect()]);
    for (const tab of tabs) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      await consume(listener, options, tab);
    }
    await new Promise((resolve) => setTimeout(resolve, 60));
    await first.shutdown();
    await sent;
    await tabs[0]!.close();
    const group = options.consumerGroup ?? "g";
    await until(async () => (await mq.admin.consumeStats(group)).diffTotal === 0);
    return witness;
  }

  test("a queue goes to its next owner when its listener has come back, in order", async () => {
    const { seen, broken } = await churn();
    expect(broken).toEqual([]);
    expect(new Set(seen).size).toBe(72);
  });

  test("control: a failure that does not hold its queue back, and a consumer that is not orderly, break the order", async () => {
    const { run } = ListenerRunner.prototype;
    vi.spyOn(ListenerRunner.prototype, "run").mockImplementation(async function forgives(this: ListenerRunner, ...args) {
      return { ...(await run.apply(this, args)), answer: "SUCCESS" };
    });
    expect((await churn()).broken).toEqual(expect.arrayContaining([expect.stringContaining("before the one before it is finished")]));
    vi.restoreAllMocks();
    const { broken } = await churn({ orderly: false, consumerGroup: "other" });
    expect(broken).toEqual(expect.arrayContaining([expect.stringContaining("while another of its queue is being worked on")]));
  });

  test("the listener of the next owner begins when that of the old one has come back, and not before", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const events: string[] = [];
    const old = await consume(async (message, { signal }) => {
      events.push(`old ${message.text()}`);
      signal.addEventListener("abort", () => events.push("old is told"));
      await held;
      events.push("old is done");
    });
    await send(2);
    await until(() => events.length === 1);
    const tab = await origin.connect();
    // Averaged by member id, the queue goes to whoever is first: shutting down gives it away for sure.
    const next = await consume((message) => void events.push(`next ${message.text()}`), {}, tab);
    const leaving = old.shutdown(60_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(events.filter((event) => event.startsWith("next"))).toEqual([]);
    release();
    await leaving;
    await until(() => events.includes("next 1"));
    expect(events.indexOf("old is done")).toBeLessThan(events.indexOf("next 1"));
    expect(events).not.toContain("next 0");
    await next.shutdown();
  });

  /** Frozen at its last try while the broker waits no longer, then thawed: it fails, and asks for a dead letter. */
  async function thawed(): Promise<{ events: string[]; letters: number }> {
    let [release, finish] = [(): void => {}, (): void => {}];
    const held = new Promise<void>((resolve) => (release = resolve));
    const inHand = new Promise<void>((resolve) => (finish = resolve));
    const events: string[] = [];
    const old = await consume(async (message) => {
      events.push(`old ${message.text()}`);
      if (events.length === 1) await held;
      return "RECONSUME_LATER" as const;
    }, { maxReconsumeTimes: 0 });
    old.on("error", ({ code }) => events.push(code));
    await send(2);
    await until(() => events.length === 1);
    const groups = origin.host.broker!.groups;
    const [frozen] = groups.find("g")!.members.values();
    // It hears nothing.
    vi.spyOn(frozen!, "changed").mockImplementation(() => {});
    const tab = await origin.connect();
    const next = await consume(async (message) => {
      events.push(`next ${message.text()}`);
      await inHand;
    }, {}, tab);
    groups.onExpired(frozen!);
    await until(() => events.includes("next 0"));
    release();
    await until(async () => events.includes("STALE_GENERATION") || (await mq.admin.deadLetters("g")).length > 0);
    const letters = (await mq.admin.deadLetters("g")).length;
    finish();
    await next.shutdown();
    return { events, letters };
  }

  test("a frozen owner is given up: the next begins with its message, and its late settle is refused", async () => {
    const { events, letters } = await thawed();
    expect(events.slice(0, 3)).toEqual(["old 0", "next 0", "STALE_GENERATION"]);
    expect(letters).toBe(0);
  });

  test("control: were it taken, the message would be a dead letter in the hands of its next owner", async () => {
    const { join } = Groups.prototype;
    const members = new Map<string, ReturnType<typeof join>>();
    vi.spyOn(Groups.prototype, "join").mockImplementation(function remember(this: Groups, ...args) {
      const member = join.apply(this, args);
      members.set(member.id, member);
      return member;
    });
    vi.spyOn(Groups.prototype, "memberOf").mockImplementation((_session, id) => members.get(id)!);
    vi.spyOn(Groups.prototype, "checkHolds").mockImplementation(() => {});
    expect((await thawed()).letters).toBeGreaterThan(0);
  });

  /** Frozen for longer than the broker waits, with one message in a listener's hands and others behind it; thawed, the listener is done. Returns who began what, until the consumer has joined again. */
  async function thawedWithMore(orderly: boolean): Promise<string[]> {
    let [release, finish] = [(): void => {}, (): void => {}];
    const held = new Promise<void>((resolve) => (release = resolve));
    const inHand = new Promise<void>((resolve) => (finish = resolve));
    const events: string[] = [];
    await consume(async (message) => {
      events.push(`old ${message.text()}`);
      await held;
    }, { orderly, consumeConcurrency: 1 });
    await send(3);
    await until(() => events.length === 1);
    const groups = origin.host.broker!.groups;
    const [frozen] = groups.find("g")!.members.values();
    // It hears nothing.
    vi.spyOn(frozen!, "changed").mockImplementation(() => {});
    const tab = await origin.connect();
    const next = await consume(async (message) => {
      events.push(`next ${message.text()}`);
      await inHand;
    }, { orderly, consumeConcurrency: 1 }, tab);
    groups.onExpired(frozen!);
    await until(() => events.includes("next 0"));
    const { monotonic } = systemClock;
    vi.spyOn(systemClock, "monotonic").mockImplementation(() => monotonic() + MEMBER_EXPIRY);
    release();
    await until(() => groups.find("g")!.members.size === 2);
    const seen = [...events];
    finish();
    // It goes on when it knows what is its.
    await send(1, 3);
    await until(isDone);
    await next.shutdown();
    return seen;
  }

  test.each([["orderly", true], ["concurrent", false]])("a frozen owner that thaws begins nothing that it had been given before (%s)", async (_name, orderly) => {
    expect(await thawedWithMore(orderly)).toEqual(["old 0", "next 0"]);
  });

  test.each([["orderly", true], ["concurrent", false]])("control: one that is always sure of its place begins the next message of another's queue (%s)", async (_name, orderly) => {
    vi.spyOn(GroupMember.prototype, "isSure", "get").mockReturnValue(true);
    expect(await thawedWithMore(orderly)).toContain("old 1");
  });

  test("a tab that dies: the next owner begins with the message that was in its hands, whose failures it does not know", async () => {
    const tab = await origin.connect();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const events: string[] = [];
    await consume((message, { attempt }) => {
      events.push(`dead ${message.text()} ${attempt}`);
      return message.text() === "0" ? undefined : attempt < 3 ? "RECONSUME_LATER" : held;
    }, {}, tab);
    await send(3);
    await until(() => events.length === 4);
    // The lock by which the broker knows that it lives is free.
    const session = [...origin.host.broker!.sessions].find(({ clientId }) => clientId === tab.clientId)!;
    origin.host.broker!.endSession(session);
    await consume((message, { attempt }) => void events.push(`next ${message.text()} ${attempt}`), {}, mq);
    await until(() => events.filter((event) => event.startsWith("next")).length === 2);
    expect(events).toEqual(["dead 0 1", "dead 1 1", "dead 1 2", "dead 1 3", "next 1 1", "next 2 1"]);
    release();
  });

  test("a worker that dies: the same consumer does not begin the queue anew while its listener is still at it", async () => {
    const witness = new Witness();
    let calls = 0;
    await consume(async (message) => {
      witness.begin(message);
      await new Promise((resolve) => setTimeout(resolve, ++calls === 1 ? 400 : 1));
      witness.end(message, true);
    });
    await send(3);
    await until(() => witness.seen.length === 1);
    const { incarnation } = (await mq.diagnostics()).broker;
    origin.silence();
    origin.host = origin.newHost();
    origin.locks.steal(writerLock("default")).release();
    origin.locks.steal(brokerLock("default", incarnation)).release();
    await until(async () => witness.seen.includes("0:2") && (await isDone().catch(() => false)));
    expect(witness.broken).toEqual([]);
    // The next broker does not know of it, the consumer does.
    expect(witness.seen.filter((place) => place === "0:0")).toHaveLength(1);
  });
});
