/** Whatever happened to the stored rows: the next broker starts, shows nothing that was not sent, and reuses no offset. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { MessageExt } from "../../src/index.ts";
import type { OpenedChunk } from "../../src/storage/indexer.ts";
import { CHUNK_HEADER_BYTES, CHUNK_ENDS, CHUNK_STARTS } from "../../src/storage/indexer.ts";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { mutations, oddValue, type Mutation } from "./arbitraries.ts";
import { fuzz, samples } from "./fuzz.ts";
import { copyOf } from "../support/memory-disk.ts";
import { asDamaged } from "../support/sound-stores.ts";

const QUEUES = 2;
const TOPICS = ["a", "b"];

let sent: Map<string, string>;
let disks: MemoryDisk[];

const placeOf = ({ topic, queueId, queueOffset }: MessageExt): string => `${topic}:${queueId}:${queueOffset}`;
const contentOf = ({ msgId, tags, body, properties }: MessageExt): string => JSON.stringify([msgId, tags, [...body], properties]);

/** Two of the same messages: one with a checkpoint over half of the log, one without any. */
beforeAll(async () => {
  const disk = new MemoryDisk();
  const origin = new NodeOrigin(disk);
  const mq = await origin.connect({ broker: { defaultTopicQueueNums: QUEUES } });
  const producer = await mq.createProducer({ producerGroup: "p" });
  const fill = async (round: number): Promise<void> => {
    for (let at = 0; at < 12; at++) await producer.send({ topic: TOPICS[at % 2]!, body: `${round} ${at}`, tags: `t${at}`, properties: { at: `${at}` } });
  };
  await fill(0);
  // Longer than a row: its record spans two.
  await producer.send({ topic: "a", body: new Uint8Array(70_000).fill(7), tags: "long" });
  await until(() => disk.state.has("checkpoint"));
  await fill(1);
  sent = new Map((await readAll(origin)).messages.map((message) => [placeOf(message), contentOf(message)]));
  expect(sent.size).toBe(25);
  const bare = copyOf(disk);
  bare.queue.clear();
  bare.index.clear();
  bare.state.delete("checkpoint");
  disks = [copyOf(disk), bare];
  await origin.close();
});

async function readAll(origin: NodeOrigin): Promise<{ messages: MessageExt[]; damaged: number }> {
  const mq = await origin.connect({ broker: { defaultTopicQueueNums: QUEUES } });
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const messages: MessageExt[] = [];
  for (const { topic } of await mq.admin.topics()) {
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = await mq.admin.minOffset(queue); ; ) {
        const result = await pull.pull(queue, "*", offset, 100);
        messages.push(...result.messages);
        if (result.status === "NO_NEW_MSG") break;
        offset = result.nextBeginOffset;
      }
    }
  }
  return { messages, damaged: (await mq.diagnostics()).broker.damaged.length };
}

interface Damage {
  part: "log" | "queue";
  at: number;
  how: "bytes" | "delete" | "swap" | "repeat";
  mutate: Mutation;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  part: fc.constantFrom("log", "log", "queue"),
  at: fc.nat({ max: 100 }),
  how: fc.constantFrom("bytes", "bytes", "bytes", "delete", "swap", "repeat"),
  mutate: mutations,
});
const damages = fc.array(damage, { minLength: 1, maxLength: 4 });

function apply(disk: MemoryDisk, { part, at, how, mutate }: Damage): void {
  const rows = disk[part] as Map<unknown, Uint8Array>;
  const keys = [...rows.keys()];
  if (keys.length === 0) return;
  const [one, other] = [keys[at % keys.length], keys[(at + 1) % keys.length]];
  const [bytes, next] = [rows.get(one)!, rows.get(other)!];
  if (how === "delete") rows.delete(one);
  else if (how === "bytes") rows.set(one, mutate(bytes));
  else rows.set(other, bytes.slice());
  if (how === "swap") rows.set(one, next.slice());
}

/** A copy of one of the two with all that done to it. */
function damagedCopy(which: number, all: Damage[]): MemoryDisk {
  const disk = copyOf(disks[which]!);
  for (const one of all) apply(disk, one);
  return asDamaged(disk, "fuzzed rows", "a mutation may leave what was there");
}

/** What a start on this disk does wrong. */
async function faults(disk: MemoryDisk, indexer = new TsIndexer()): Promise<string[]> {
  const before = new Set(disk.log.keys());
  const origin = new NodeOrigin(disk);
  origin.host = origin.newHost({ loadIndexer: () => Promise.resolve(indexer) });
  try {
    const { messages, damaged } = await readAll(origin);
    const found = messages.flatMap((message) =>
      sent.get(placeOf(message)) === contentOf(message) ? [] : [`phantom ${placeOf(message)} ${contentOf(message).slice(0, 100)}`],
    );
    const places = messages.map(placeOf);
    if (new Set(places).size < places.length) found.push("something is delivered twice");
    const mq = await origin.connect();
    const { position } = (await mq.diagnostics()).broker;
    const producer = await mq.createProducer({ producerGroup: "p" });
    const { messageQueue, queueOffset } = await producer.send({ topic: "a", body: "new" });
    if (messages.some((message) => message.topic === "a" && message.queueId === messageQueue.queueId && message.queueOffset >= queueOffset)) found.push("an offset is used twice");
    if (before.has(position)) found.push(`position ${position} is used twice`);
    // Rows that are missing at the end leave no trace in the log itself; everything else has to be accounted for.
    const isWhole = before.has(Math.max(...disks[0]!.log.keys()));
    if (messages.length < sent.size && damaged === 0 && isWhole) found.push(`${sent.size - messages.length} messages are missing without a word`);
    return found;
  } finally {
    await origin.close();
  }
}

describe("a broker that starts on damaged rows", () => {
  fuzz("delivers what was sent or nothing, and reuses neither offset nor position", fc.tuple(fc.nat({ max: 1 }), damages), 150, async ([which, all]) => {
    expect(await faults(damagedCopy(which, all))).toEqual([]);
  });

  fuzz("reads its checkpoint as it reads everything: unknown until checked", oddValue, 60, async (value) => {
    const disk = asDamaged(copyOf(disks[0]!), "a fuzzed checkpoint", "the next one takes its place");
    disk.state.set("checkpoint", value);
    expect(await faults(disk)).toEqual([]);
  });

  test("undamaged rows are no fault, and are all there", async () => {
    for (const disk of disks) {
      const origin = new NodeOrigin(copyOf(disk));
      expect((await readAll(origin)).messages).toHaveLength(sent.size);
      await origin.close();
      expect(await faults(copyOf(disk))).toEqual([]);
    }
  });

  test("control: an indexer that believes every row is caught showing what was never sent", async () => {
    class Credulous extends TsIndexer {
      override openChunk(row: Uint8Array, position: number): OpenedChunk {
        const opened = super.openChunk(row, position);
        if (opened.ok || row.length <= CHUNK_HEADER_BYTES) return opened;
        const flags = new DataView(row.buffer, row.byteOffset).getUint16(6);
        return { ok: true, epoch: 1, position, starts: (flags & CHUNK_STARTS) !== 0, ends: (flags & CHUNK_ENDS) !== 0, payload: row.subarray(CHUNK_HEADER_BYTES) };
      }
    }
    const found: string[] = [];
    for (const all of samples(damages, 60)) {
      found.push(...(await faults(damagedCopy(0, all), new Credulous()).catch((error: unknown) => [String(error)])));
    }
    expect(found.join()).toContain("phantom");
  });
});

