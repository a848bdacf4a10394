/** What `npm run check-log` finds: every byte of an export matters, and each way to be wrong has its name. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MANIFEST_TOPIC } from "../../src/model/log-manifest.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { RECORD, writeInt64 } from "../../src/model/record.ts";
import { checkLog, FINDINGS } from "../check-log/log-check.mjs";
import { NodeOrigin } from "../support/node-broker.ts";

let log: Uint8Array;
beforeAll(async () => {
  const origin = new NodeOrigin();
  const mq = await origin.connect({ namespace: "shop" });
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 2, writeQueueNums: 2 });
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (let i = 0; i < 5; i++) await producer.send({ topic: "orders", body: `tea ${i}`, tags: "t" }, { queue: { topic: "orders", brokerName: "broker-a", queueId: i % 2 } });
  const pull = await mq.createPullConsumer({ consumerGroup: "billing", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  pull.subscribe("orders");
  await pull.poll({ max: 2 });
  await pull.commit();
  await pull.shutdown();
  const parts: Uint8Array[] = [];
  for await (const part of mq.admin.exportLog()) parts.push(part);
  log = new Uint8Array(Buffer.concat(parts));
  await origin.close();
});

const kinds = async (bytes: Uint8Array): Promise<string[]> => (await checkLog([bytes])).findings.map(({ kind }) => kind);

interface Piece {
  part: string;
  bytes: Uint8Array;
  view: DataView;
}

/** Changes the records, copies of them, and makes the checksum right again, unless told not to. */
function changed(change: (pieces: Piece[]) => Piece[] | void, isSealed = true): Uint8Array {
  let at = 0;
  const pieces = decodeRecords(log, "").map(({ topic, tags, storeSize }) => {
    const bytes = log.slice(at, (at += storeSize));
    return { part: topic === MANIFEST_TOPIC ? tags! : "message", bytes, view: new DataView(bytes.buffer) };
  });
  const all = new Uint8Array(Buffer.concat((change(pieces) ?? pieces).map(({ bytes }) => bytes)));
  if (isSealed) all.set(new TextEncoder().encode(crc32(all.subarray(0, -9)).toString(16).padStart(8, "0")), all.byteLength - 9);
  return all;
}

/** A record with another body, JSON of which some text is replaced by as many letters. */
function rewrite({ bytes, view }: Piece, from: RegExp, to: string): void {
  const end = RECORD.body + view.getInt32(RECORD.bodyLength);
  const body = Buffer.from(bytes.subarray(RECORD.body, end)).toString("latin1");
  if (from.exec(body)?.[0].length !== to.length) throw new Error(`${from} is not in ${body}`);
  bytes.set(Buffer.from(body.replace(from, to), "latin1"), RECORD.body);
  view.setInt32(RECORD.bodyCrc, crc32(bytes.subarray(RECORD.body, end)) & 0x7fffffff);
}

const messages = (pieces: Piece[]): Piece[] => pieces.filter(({ part }) => part === "message");

describe("a whole log", () => {
  test("is found to be one, in pieces of whatever size", async () => {
    for (const size of [1, 91, 92, 1000, log.byteLength]) {
      const pieces = Array.from({ length: Math.ceil(log.byteLength / size) }, (_, at) => log.subarray(at * size, (at + 1) * size));
      const report = await checkLog(pieces);
      expect(report).toMatchObject({ findings: [], bytes: log.byteLength, messages: 5, damaged: 0, begin: { namespace: "shop" } });
      expect(report.queues.map(({ queueId, count, first, last }) => [queueId, count, first, last])).toEqual([[0, 3, 0, 2], [1, 2, 0, 1]]);
    }
    expect(await kinds(changed(() => {}))).toEqual([]);
  });
});

describe("damage", () => {
  test("whichever bit of whichever byte is another", async () => {
    const missed: number[] = [];
    for (let at = 0; at < log.byteLength; at++) {
      for (const bit of [1, 16, 32, 128]) {
        log[at]! ^= bit;
        if ((await kinds(log)).length === 0) missed.push(at);
        log[at]! ^= bit;
      }
    }
    expect(missed).toEqual([]);
  });

  test("wherever it is cut off, and whatever is missing from its beginning", async () => {
    const missed: number[] = [];
    for (let length = 0; length < log.byteLength; length++) {
      if (!(await kinds(log.subarray(0, length))).includes("TRUNCATED")) missed.push(length);
      if (length > 0 && (await kinds(log.subarray(length))).length === 0) missed.push(-length);
    }
    expect(missed).toEqual([]);
  });

  const damages: [(typeof FINDINGS)[number], string, () => Uint8Array, more?: string[]][] = [
    ["RECORD", "a body that is not what was sent", () => changed((pieces) => void (messages(pieces)[1]!.bytes[RECORD.body]! ^= 1))],
    ["RECORD", "something else at a record's place", () => changed((pieces) => messages(pieces)[1]!.view.setInt32(RECORD.magic, 1))],
    ["TRUNCATED", "no end", () => changed((pieces) => pieces.slice(0, -1), false)],
    ["MANIFEST", "no beginning", () => changed((pieces) => pieces.slice(1)), ["COUNT", "POSITION", "TOPIC", "OFFSET"]],
    ["MANIFEST", "a format of later", () => changed(([begin]) => rewrite(begin!, /"version":1/, `"version":9`))],
    ["MANIFEST", "a second beginning", () => changed((pieces) => [pieces[0]!, ...pieces]), ["OFFSET", "COUNT"]],
    ["POSITION", "a record from before", () => changed((pieces) => writeInt64(messages(pieces)[1]!.view, RECORD.physicalOffset, 1))],
    ["POSITION", "a record from behind the end", () => changed((pieces) => writeInt64(messages(pieces).at(-1)!.view, RECORD.physicalOffset, 1e9))],
    ["OFFSET", "an offset given twice", () => changed((pieces) => writeInt64(messages(pieces)[2]!.view, RECORD.queueOffset, 0))],
    ["TOPIC", "a queue that the topic has not", () => changed((pieces) => messages(pieces).at(-1)!.view.setInt32(RECORD.queueId, 7))],
    ["GROUP", "a group that is ahead of the log", () => changed((pieces) => rewrite(pieces[2]!, /\[0,\d\]/, "[0,9]"))],
    ["COUNT", "a message left out", () => changed((pieces) => pieces.filter((piece) => piece !== messages(pieces)[1]))],
    ["CHECKSUM", "two bits of a time that nothing else covers", () => changed((pieces) => void (messages(pieces)[1]!.bytes[RECORD.bornTimestamp + 7]! ^= 3), false)],
    ["TRAILING", "a byte more", () => new Uint8Array([...log, 0])],
  ];

  test.each(damages)("%s: %s", async (kind, _what, make, more = []) => {
    const found = await kinds(make());
    expect(found.sort()).toEqual([kind, ...more].sort());
  });

  test("every kind of finding has its damage", () => {
    expect([...new Set(damages.map(([kind]) => kind))].sort()).toEqual([...FINDINGS].sort());
  });
});

describe("the command", () => {
  const tools = fileURLToPath(new URL("../check-log/", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "tabmq-check-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = (...args: string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(tools, "run.mjs"), ...args], { encoding: "utf8" });
    return { status, output: stdout + stderr };
  };

  test("says what is in a log, and ends with 0", () => {
    const file = join(folder, "shop.log");
    writeFileSync(file, log);
    const { status, output } = run(file);
    expect(output).toContain("5 messages in 2 queues, 1 topics");
    expect(output).toMatch(/orders\/0 +3 +0\.\.2 /);
    expect(output).toMatch(/billing +orders\/1/);
    expect(output).toContain("✓");
    expect(status).toBe(0);
  });

  test("says at which byte a log is damaged, and ends with 1; with 2 where there is none", () => {
    const file = join(folder, "damaged.log");
    const bytes = log.slice();
    const at = decodeRecords(log, "").filter(({ topic }) => topic === MANIFEST_TOPIC).slice(0, -1).reduce((sum, { storeSize }) => sum + storeSize, 0);
    bytes[at + RECORD.body]! ^= 1;
    writeFileSync(file, bytes);
    const { status, output } = run(file);
    expect(output).toContain(`✗ RECORD at byte ${at}: the body's CRC is another`);
    expect(output).toContain("✗ CHECKSUM at byte ");
    expect(status).toBe(1);
    expect(run(join(folder, "none.log")).status).toBe(2);
    expect(run().status).toBe(2);
  });

  test("shares no code with what writes logs and reads them", () => {
    const imports = readdirSync(tools).flatMap((name) => [...readFileSync(join(tools, name), "utf8").matchAll(/from "([^"]+)"/g)].map((match) => match[1]!));
    expect(imports.length).toBeGreaterThan(3);
    expect(imports.filter((target) => !target.startsWith("node:") && !/^\.\/[\w-]+\.mjs$/.test(target))).toEqual([]);
  });
});
