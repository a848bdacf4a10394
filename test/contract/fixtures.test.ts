/** Stores as versions before this one have left them on disks (test/fixtures): each opens in every version after it. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { STORE_FORMAT } from "../../src/protocol/api.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
import { diskOf, type Fixture, fixtureFile, type FixtureMessage, told } from "../fixtures/store.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const FOLDER = dirname(fixtureFile);
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const read = (name: string): Fixture => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Fixture;

let origin: NodeOrigin;
afterEach(() => origin?.close());

function open(disk: MemoryDisk): Promise<TabMQ> {
  origin = new NodeOrigin(disk);
  return origin.connect();
}

const byPlace = (all: FixtureMessage[]): FixtureMessage[] => all.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.queueId - b.queueId || a.queueOffset - b.queueOffset);

async function readAll(mq: TabMQ): Promise<FixtureMessage[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: FixtureMessage[] = [];
  for (const { topic } of await mq.admin.topics()) {
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = 0; ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
        all.push(...messages.map(told));
        if (status === "NO_NEW_MSG") break;
        offset = nextBeginOffset;
      }
    }
  }
  await pull.shutdown();
  return byPlace(all);
}

test("today's format is among them", () => {
  expect(files).toContain(basename(fixtureFile));
});

describe.each(files)("%s", (name) => {
  test("opens whole: every message, tag and key, and how far its group has come", async () => {
    const { messages, offsets } = read(name);
    const mq = await open(diskOf(read(name)));
    const { broker } = await mq.diagnostics();
    expect(broker).toMatchObject({ epoch: 2, damaged: [], recovery: { loss: "none", damaged: [] } });
    expect(await readAll(mq)).toEqual(byPlace(messages));
    for (const { group, topic, queueId, offset } of offsets) {
      const { queues } = await mq.admin.consumeStats(group);
      expect(queues.find((queue) => queue.topic === topic && queue.queueId === queueId)).toMatchObject({ consumerOffset: offset });
    }
    for (const [at, message] of messages.entries()) {
      const { topic, msgId, keys } = message;
      expect((await mq.admin.queryMessages({ topic, key: msgId })).map(told)).toEqual([message]);
      const [key = ""] = keys.split(" ");
      const sameKey = messages.filter((other) => other.topic === topic && other.keys.split(" ").includes(key));
      if (at < 5) expect((await mq.admin.queryMessages({ topic, key, max: 64 })).map(told)).toEqual(sameKey.toReversed());
    }
  });

  test("goes on: its group gets what it had not, and what is sent comes behind", async () => {
    const { messages, offsets } = read(name);
    const mq = await open(diskOf(read(name)));
    const producer = await mq.createProducer({ producerGroup: "p" });
    const { topic, queueId } = messages.at(-1)!;
    const behind = messages.filter((message) => message.topic === topic && message.queueId === queueId);
    const { queueOffset } = await producer.send({ topic, body: "new" }, { queue: { topic, brokerName: "broker-a", queueId } });
    expect(queueOffset).toBe(Math.max(...behind.map((message) => message.queueOffset)) + 1);
    const got: string[] = [];
    const waiting = messages.filter((message) => offsets.some((at) => at.topic === message.topic && at.queueId === message.queueId && message.queueOffset >= at.offset));
    await new Promise<void>((resolve) => {
      void mq.createPushConsumer({
        consumerGroup: offsets[0]!.group, subscriptions: { [topic]: "*" },
        messageListener: ({ msgId }) => void (got.push(msgId) === waiting.length + 1 && resolve()),
      });
    });
    expect(got.slice().sort()).toEqual(expect.arrayContaining(waiting.map(({ msgId }) => msgId).sort()));
  });

  test.each([STORE_FORMAT + 1, "2.1", { next: true }])("control: marked as of format %j, which is later, it is refused and not a byte of it is changed", async (format) => {
    const disk = diskOf(read(name));
    disk.state.set("format", format);
    const before = copyOf(disk);
    await expect(open(disk)).rejects.toMatchObject({ code: "UPGRADE_REQUIRED", outcome: "rejected", message: expect.stringContaining("Nothing was changed") as string });
    expect(disk).toEqual(before);
    // Whoever can read it does.
    disk.state.set("format", STORE_FORMAT);
    await origin.close();
    expect(await readAll(await open(disk))).toEqual(byPlace(read(name).messages));
    expect(disk).not.toEqual(before);
  });

  test("control: a bit of its log, or a row less, and it is not what it was", async () => {
    const { messages } = read(name);
    const isWhole = async (change: (disk: MemoryDisk) => void): Promise<boolean> => {
      const disk = diskOf(read(name));
      change(disk);
      const mq = await open(disk);
      const all = await readAll(mq);
      const { broker } = await mq.diagnostics();
      await origin.close();
      return broker.damaged.length === 0 && JSON.stringify(all) === JSON.stringify(byPlace(messages));
    };
    const [first, second] = [...diskOf(read(name)).log.keys()] as [number, number];
    expect(await isWhole(() => {})).toBe(true);
    expect(await isWhole((disk) => (asDamaged(disk, "a bit is another").log.get(second)![60]! ^= 1))).toBe(false);
    expect(await isWhole((disk) => asDamaged(disk, "a row is gone").log.delete(first))).toBe(false);
  });
});
