/** `assign` again: other queues instead of those of before, while a pull consumer is at work. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Groups } from "../../src/broker/groups.ts";
import { GroupMember } from "../../src/client/group-member.ts";
import type { MessageQueue, MQError, PullConsumer, PullConsumerOptions, TabMQ } from "../../src/index.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect();
  for (const topic of ["t", "u"]) await mq.admin.createTopic({ topic, readQueueNums: 3, writeQueueNums: 3 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const at = (queueId: number, topic = "t"): MessageQueue => ({ topic, brokerName: "broker-a", queueId });
const [q0, q1, q2] = [at(0), at(1), at(2)];

async function send(queue: MessageQueue, bodies: string[]): Promise<void> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send(bodies.map((body) => ({ topic: queue.topic, body })), { queue });
  await producer.shutdown();
}

function pulls(options: Partial<PullConsumerOptions> = {}): Promise<PullConsumer> {
  return mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options });
}

async function take(pull: PullConsumer, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) got.push(...(await pull.poll({ timeout: 5000, max: count - got.length })).map((message) => message.text()));
  return got;
}

const offsetOf = async ({ topic, queueId }: MessageQueue): Promise<number | undefined> =>
  (await mq.admin.consumeStats("g")).queues.find((queue) => queue.topic === topic && queue.queueId === queueId)?.consumerOffset;
const ids = (pull: PullConsumer): string => pull.assignment().map(({ topic, queueId }) => `${topic}${queueId}`).join(" ");

test("queues that stay go on where they are, those that go are let go with their progress, new ones begin as assign does", async () => {
  await send(q0, ["a1", "a2", "a3"]);
  await send(q1, ["b1", "b2", "b3", "b4"]);
  const pull = await pulls();
  const changes: string[] = [];
  pull.on("rebalance", ({ assigned, revoked }) => changes.push(`+${assigned.map(({ queueId }) => queueId).join()} -${revoked.map(({ queueId }) => queueId).join()}`));
  await pull.assign([q0, q1]);
  expect(await take(pull, 5)).toEqual(["a1", "a2", "a3", "b1", "b2"]);
  await send(q2, ["c1", "c2"]);
  await pull.assign([q1, q2]);
  expect(ids(pull)).toBe("t1 t2");
  expect(await take(pull, 4)).toEqual(["b3", "b4", "c1", "c2"]);
  expect(await offsetOf(q0)).toBe(3);
  await send(q0, ["a4"]);
  await pull.assign([q0]);
  expect(await take(pull, 1)).toEqual(["a4"]);
  expect(await pull.poll({ timeout: 0 })).toEqual([]);
  await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
  expect(changes).toEqual(["+0,1 -", "+2 -0", "+0 -1,2"]);
});

test("a poll that waits gets what comes in the new queues, and nothing more of the old ones", async () => {
  const pull = await pulls();
  await pull.assign([q0]);
  const waiting = pull.poll({ timeout: 20_000 });
  await pull.assign([q1]);
  await send(q0, ["old"]);
  await send(q1, ["new"]);
  expect((await waiting).map((message) => message.text())).toEqual(["new"]);
  // A poll that comes after the call waits for it, although nobody has awaited it.
  const change = pull.assign([q0]);
  expect((await pull.poll({ timeout: 20_000 })).map((message) => message.text())).toEqual(["old"]);
  await change;
});

test("what poll holds of a queue that goes is not given; what the application has of it is finished with its next poll, and comes again if it is not", async () => {
  await send(q0, ["a1", "a2", "a3"]);
  const pull = await pulls();
  await pull.assign([q0]);
  expect(await take(pull, 1)).toEqual(["a1"]);
  await pull.assign([q1]);
  expect(await offsetOf(q0)).toBe(0);
  expect(await pull.poll({ timeout: 0 })).toEqual([]);
  await until(async () => (await offsetOf(q0)) === 1);
  await pull.shutdown();
  const manual = await pulls({ autoCommit: false });
  await manual.assign([q0]);
  expect(await take(manual, 2)).toEqual(["a2", "a3"]);
  await manual.assign([q1]);
  await manual.assign([q0]);
  // Not committed, and begun anew.
  expect(await take(manual, 2)).toEqual(["a2", "a3"]);
  await manual.assign([q1]);
  await manual.commit();
  await until(async () => (await offsetOf(q0)) === 3);
});

test("control: without the list of before, the broker takes no progress of queues that have gone", async () => {
  const { checkHolds } = Groups.prototype;
  vi.spyOn(Groups.prototype, "checkHolds").mockImplementation(function strict(this: Groups, member, topic, queueId) {
    const { held } = member;
    member.held = new Map();
    try {
      checkHolds.call(this, member, topic, queueId);
    } finally {
      member.held = held;
    }
  });
  await send(q0, ["a1", "a2"]);
  const pull = await pulls();
  await pull.assign([q0]);
  expect(await take(pull, 2)).toEqual(["a1", "a2"]);
  // Its fetch is refused, and it joins again, with nothing in hand.
  await expect(pull.assign([q1])).rejects.toMatchObject({ code: "STALE_GENERATION" });
  await until(() => ids(pull) === "t1");
  await pull.poll({ timeout: 300 });
  expect(await offsetOf(q0)).toBe(0);
});

test("paused queues stay paused, and a seek holds", async () => {
  await send(q0, ["a1", "a2"]);
  await send(q1, ["b1", "b2"]);
  const pull = await pulls();
  await pull.assign([q0, q1]);
  pull.pause([q0]);
  expect(await take(pull, 2)).toEqual(["b1", "b2"]);
  await pull.seek(q1, 1);
  await pull.assign([q0, q1, q2]);
  expect(await take(pull, 1)).toEqual(["b2"]);
  expect(await pull.poll({ timeout: 100 })).toEqual([]);
  pull.resume([q0]);
  expect(await take(pull, 2)).toEqual(["a1", "a2"]);
});

test("a queue that is new begins where the group is, or as consumeFromWhere says, also at a time", async () => {
  await send(q0, ["a1"]);
  await send(at(0, "u"), ["old"]);
  const last = await pulls({ consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" });
  await last.assign([q1]);
  await last.assign([at(0, "u")]);
  await send(at(0, "u"), ["new"]);
  expect(await take(last, 1)).toEqual(["new"]);
  const timed = await pulls({ consumerGroup: "h", consumeFromWhere: "CONSUME_FROM_TIMESTAMP", consumeTimestamp: Date.now() - 60_000 });
  await timed.assign([q0]);
  await timed.assign([at(0, "u")]);
  expect(await take(timed, 2)).toEqual(["old", "new"]);
});

test("a later call that is refused changes nothing, and is told to who does not await it; an earlier one that is refused leaves the later one its chance", async () => {
  const pull = await pulls();
  const errors: MQError[] = [];
  pull.on("error", (error) => errors.push(error));
  pull.assign([at(7)]).catch(() => {});
  await pull.assign([q0]);
  const refused = pull.assign([q1, at(9)]);
  await expect(refused).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "assign[1].queueId" });
  expect(errors).toMatchObject([{ field: "assign[1].queueId" }]);
  expect(() => pull.assign([])).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "assign" }));
  expect(() => pull.subscribe("t")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "subscribe" }));
  await send(q0, ["a1"]);
  expect(await take(pull, 1)).toEqual(["a1"]);
  expect(ids(pull)).toBe("t0");
  const other = await pulls({ consumerGroup: "h" });
  other.subscribe("t");
  expect(() => other.assign([q0])).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "assign" }));
  await other.poll({ timeout: 0 });
  expect(() => other.assign([q0])).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "assign" }));
});

test("many calls at once: the last one counts", async () => {
  for (const queue of [q0, q1, q2]) await send(queue, [`in ${queue.queueId}`]);
  const pull = await pulls();
  const calls = [[q0], [q1], [q0, q2], [q2], [q1, q2]].map((queues) => pull.assign(queues));
  await Promise.all(calls);
  expect(ids(pull)).toBe("t1 t2");
  expect((await take(pull, 2)).toSorted()).toEqual(["in 1", "in 2"]);
});

/** Whether the queues that were picked last come after the broker's death. */
async function afterDeath(): Promise<string> {
  const pull = await pulls();
  await pull.assign([q0]);
  await pull.assign([q1]);
  const { epoch } = (await mq.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await mq.diagnostics()).broker.epoch > epoch);
  await until(() => pull.assignment().length > 0);
  return ids(pull);
}

test("the next broker is told of the newer ones", async () => {
  expect(await afterDeath()).toBe("t1");
});

test("control: who asks the broker only is given the old ones by the next", async () => {
  vi.spyOn(GroupMember.prototype, "pick").mockResolvedValue();
  expect(await afterDeath()).toBe("t0");
});

test("after shutdown CLOSED, also for one that was on its way", async () => {
  const pull = await pulls();
  await pull.assign([q0]);
  const [late, closed] = [pull.assign([q1]), pull.shutdown()];
  await closed;
  await expect(late).rejects.toMatchObject({ code: "CLOSED" });
  expect(() => pull.assign([q1])).toThrow(expect.objectContaining({ code: "CLOSED" }));
});

test("a member that shares its group's queues picks none", async () => {
  const members: GroupMember[] = [];
  const { start } = GroupMember.prototype;
  vi.spyOn(GroupMember.prototype, "start").mockImplementation(function noted(this: GroupMember) {
    members.push(this);
    return start.call(this);
  });
  await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
  await expect(members[0]!.pick([{ topic: "t", queueId: 0 }])).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "assign" });
});
