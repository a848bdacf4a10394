import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SendService } from "../../src/broker/send.ts";
import type { MQError, Producer, TabMQ } from "../../src/index.ts";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect();
  producer = await mq.createProducer({ producerGroup: "p" });
  await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
  await producer.send({ topic: "t", body: "first" });
});
afterEach(async () => {
  await origin.close();
  vi.restoreAllMocks();
});

const stored = async (): Promise<number> => (await mq.admin.topicStats("t")).queues[0]!.maxOffset;

/** The broker dies with the next frame in its hands, and nobody knows what became of it. */
function dieWithNextFrame(): { tries: () => number } {
  const { send } = SendService.prototype;
  let tries = 0;
  vi.spyOn(SendService.prototype, "send").mockImplementation(function dying(this: SendService, frame) {
    tries++;
    if (tries > 1) return send.call(this, frame);
    const { incarnation } = origin.host.broker!;
    origin.silence();
    origin.host = origin.newHost();
    origin.locks.steal(writerLock("default")).release();
    origin.locks.steal(brokerLock("default", incarnation)).release();
    return new Promise(() => {});
  });
  return { tries: () => tries };
}

describe("sendOneway", () => {
  test("is stored as any other message, and says nothing", async () => {
    expect(producer.sendOneway({ topic: "t", body: "x" })).toBeUndefined();
    await until(async () => (await stored()) === 2);
  });

  test("is sent once: what the broker's death leaves open stays open", async () => {
    const { tries } = dieWithNextFrame();
    producer.sendOneway({ topic: "t", body: "x" });
    await until(() => tries() === 1);
    await producer.send({ topic: "t", body: "behind it" });
    expect([tries(), await stored()]).toEqual([2, 2]);
  });

  test("control: a send is tried again", async () => {
    const { tries } = dieWithNextFrame();
    await producer.send({ topic: "t", body: "x" });
    expect([tries(), await stored()]).toEqual([2, 2]);
  });

  test("a refusal is not told and hurts nobody", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listen);
    await mq.admin.createTopic({ topic: "closed", perm: 4 });
    producer.sendOneway({ topic: "closed", body: "x" });
    await mq.flush();
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off("unhandledRejection", listen);
    expect(unhandled).toEqual([]);
    expect(await stored()).toBe(1);
  });

  test("what is no message is told at once: that is no matter of luck", () => {
    const code = (work: () => void): string => { try { work(); return "none"; } catch (error) { return (error as MQError).code; } };
    expect(code(() => producer.sendOneway({ topic: "t", body: "" }))).toBe("MESSAGE_ILLEGAL");
    expect(code(() => producer.sendOneway({ topic: "a b", body: "x" }))).toBe("INVALID_PARAMETER");
  });
});
