/**
 * A topic and a group are deleted, and queues taken away, over a store that fails where the plan says: each is done or not
 * done, never half; what was acknowledged as deleted is never seen again, and no offset is used twice.
 */
import type { MessageExt, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import { deferred } from "../../src/platform/deferred.ts";
import { checkStore } from "./store-check.ts";
import { FaultyOrigin } from "./faulty-origin.ts";
import type { Fault } from "./faulty-store.ts";

export interface DeletionRun {
  violations: string[];
  operations: number;
}

const OLD = ["old 1", "old 2", "old 3"];
const queue = (topic: string, queueId = 0) => ({ topic, brokerName: "broker-a", queueId });

export async function deletionRun(faults: Fault[] = []): Promise<DeletionRun> {
  const run = new Run(faults);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #violations: string[] = [];
  /** What was said to be done. */
  readonly #done = new Set<string>();
  /** Acknowledged messages of the topic: by queue and offset, which body. */
  readonly #places = new Map<string, string>();
  readonly #acked: string[] = [];
  #death = deferred<never>();

  constructor(faults: Fault[]) {
    this.origin = new FaultyOrigin(faults);
    // All of the browser: nobody is left who would ask the next broker for the same again, and so complete what was done by half.
    this.origin.plan.onCrash = () => {
      this.origin.killAll();
      this.#death.reject(new Error("the browser has crashed"));
    };
    this.#death.promise.catch(() => {});
  }

  async all(): Promise<DeletionRun> {
    const operations = await this.origin.run((violation) => void this.#violations.push(violation), () => this.#life(), async () => {
      await this.#verify(false);
      await this.#verify(true);
    });
    return { violations: this.#violations, operations };
  }

  async #life(): Promise<void> {
    try {
      await this.#work();
    } catch {
      // The browser has crashed; it is started again.
    }
    this.#death = deferred();
    this.origin.killAll();
    await this.origin.time.sleep(100);
  }

  async #work(): Promise<void> {
    const mq = await this.#connect();
    for (const topic of ["t", "other", "s"]) await this.#settled("", mq.admin.createTopic({ topic, readQueueNums: 2, writeQueueNums: 2 }));
    await this.#send(mq, "t", OLD);
    await this.#send(mq, "other", ["kept"]);
    await this.#send(mq, "s", ["drained"], { queueId: 1 });
    // It waits when the topic is deleted, and is due afterwards.
    await this.#send(mq, "t", ["late"], { delayTimeLevel: 1 });
    for (const group of ["g", "h"]) await this.#settled(`offset of ${group}`, mq.admin.resetOffset({ group, topic: "t", offset: 2, queue: queue("t") }));
    await this.#settled("", mq.admin.createGroup({ group: "g", retryMaxTimes: 3 }));
    await this.#settled("drained", mq.admin.resetOffset({ group: "g", topic: "s", offset: 1, queue: queue("s", 1) }));
    await this.#settled("shrunk", mq.admin.createTopic({ topic: "s", readQueueNums: 1, writeQueueNums: 1 }));
    await this.#settled("group", mq.admin.deleteGroup("g"));
    await this.#settled("topic", mq.admin.deleteTopic("t"));
    await this.#send(mq, "t", ["new 1", "new 2"]);
    await this.origin.time.sleep(1500);
  }

  /** `again`: once more, from the log alone. */
  async #verify(again: boolean): Promise<void> {
    const { disk } = this.origin;
    if (again) {
      disk.state.delete("checkpoint");
      disk.queue.clear();
      disk.index.clear();
    }
    const mq = await this.#connect();
    const name = again ? " (from the log alone)" : "";
    const texts = await this.#texts(mq, "t");
    const old = texts.filter((text) => OLD.includes(text));
    const isGone = !texts.includes(OLD[0]!) && this.#acked.includes(OLD[0]!);
    if (this.#done.has("topic") && old.length > 0) this.#violations.push(`came back${name}: ${old.join(", ")}`);
    if (isGone && texts.includes("late")) this.#violations.push(`came by a detour${name}: late`);
    for (const body of this.#acked) {
      const isOld = OLD.includes(body) || body === "late";
      if (isOld && old.length === 0) continue;
      if (body !== "kept" && body !== "drained" && body !== "late" && !texts.includes(body)) this.#violations.push(`lost${name}: ${body}`);
    }
    const found = (await this.#find(mq)).map((message) => message.text());
    if (this.#done.has("topic") && found.some((text) => OLD.includes(text))) this.#violations.push(`found by its key${name}: ${found.join(", ")}`);
    if (this.#acked.includes("kept") && !(await this.#texts(mq, "other")).includes("kept")) this.#violations.push(`lost${name}: kept`);
    this.#judgeRows(name, old.length > 0);
    await this.#judgeShrunk(mq, name);
    await mq.close();
    await this.origin.stopWorker();
    for (const { code, where } of checkStore(disk, { holes: true })) this.#violations.push(`${code}${name}: ${where}`);
  }

  /** Of one deletion all is done, or nothing. */
  #judgeRows(name: string, isThere: boolean): void {
    const rows = [...this.origin.disk.state.keys()];
    const ofGroup = rows.filter((row) => /^(offset|reset|done|group)\/g(\/|$)/.test(row));
    if (this.#done.has("group") && ofGroup.length > 0) this.#violations.push(`the group came back${name}: ${ofGroup.join(", ")}`);
    if (rows.includes("deleted/%RETRY%g") && ofGroup.length > 0) this.#violations.push(`the group is half deleted${name}: ${ofGroup.join(", ")}`);
    const isNoted = rows.includes("deleted/t");
    if (isNoted === isThere && this.#acked.includes(OLD[0]!)) this.#violations.push(`the topic is half deleted${name}: ${isNoted ? "noted, and shown" : "not noted, and gone"}`);
    if (!isNoted && this.#done.has("offset of h") && !rows.includes("offset/h/t")) this.#violations.push(`the topic is half deleted${name}: offset/h/t is gone`);
    if (isNoted && rows.includes("offset/h/t")) this.#violations.push(`the topic is half deleted${name}: offset/h/t is left`);
  }

  async #judgeShrunk(mq: TabMQ, name: string): Promise<void> {
    const config = (await mq.admin.topics()).find(({ topic }) => topic === "s");
    if (config === undefined) return;
    if (this.#done.has("shrunk") && config.readQueueNums !== 1) this.#violations.push(`queue 1 came back${name}`);
    const begin = config.readQueueNums === 2 ? await mq.admin.minOffset(queue("s", 1)) : null;
    if (begin !== null && begin > 0) this.#violations.push(`queue 1 is half gone${name}: it begins at ${begin}`);
  }

  async #texts(mq: TabMQ, topic: string): Promise<string[]> {
    const texts: string[] = [];
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const { readQueueNums } = (await mq.admin.topics()).find((one) => one.topic === topic) ?? { readQueueNums: 0 };
    for (let queueId = 0; queueId < readQueueNums; queueId++) {
      for (let offset = await mq.admin.minOffset(queue(topic, queueId)); ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue(topic, queueId), "*", offset, 32);
        for (const message of messages) {
          texts.push(message.text());
          const place = `${topic}:${queueId}:${message.queueOffset}`;
          const before = this.#places.get(place);
          if (before !== undefined && before !== message.text()) this.#violations.push(`offset used twice: ${place} was "${before}" and is "${message.text()}"`);
        }
        if (status === "NO_NEW_MSG") break;
        offset = nextBeginOffset;
      }
    }
    await pull.shutdown();
    return texts;
  }

  async #find(mq: TabMQ): Promise<MessageExt[]> {
    return mq.admin.queryMessages({ topic: "t", key: "key" });
  }

  async #send(mq: TabMQ, topic: string, bodies: string[], { queueId = 0, ...extra }: { queueId?: number; delayTimeLevel?: number } = {}): Promise<void> {
    const producer = await this.#settled("", mq.createProducer({ producerGroup: "p", sendMsgTimeout: 8000, retryTimesWhenSendFailed: 5 }));
    if (producer === undefined) return;
    for (const body of bodies) {
      const sent = await this.#settled("", producer.send({ topic, body, keys: "key", ...extra }, { queue: queue(topic, queueId) }));
      if (sent === undefined) continue;
      this.#acked.push(body);
      if (extra.delayTimeLevel === undefined) this.#places.set(`${topic}:${queueId}:${sent.queueOffset}`, body);
    }
    void producer.shutdown().catch(() => {});
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled("", this.origin.connect({ broker: { defaultTopicQueueNums: 2, messageDelayLevel: "700ms", traceEnable: false } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #settled<T>(what: string, call: Promise<T>): Promise<T | undefined> {
    try {
      const value = await Promise.race([call, this.#death.promise]);
      this.#done.add(what);
      return value;
    } catch (error) {
      asMQError(error);
      return undefined;
    }
  }
}
