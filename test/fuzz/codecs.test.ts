/** Whatever bytes or text come in: a value or a typed refusal, never anything else. */
import fc from "fast-check";
import { describe, expect } from "vitest";
import { matchesTag, parseTagExpression } from "../../src/filter/tag-expression.ts";
import { ERROR_CODES, MQError } from "../../src/model/errors.ts";
import { MAX_EXPRESSION_LENGTH, MAX_FRAME_RECORDS } from "../../src/model/limits.ts";
import { draftMessage, type Message } from "../../src/model/message.ts";
import { offsetMsgId, parseOffsetMsgId } from "../../src/model/message-id.ts";
import { decodeProperties, encodeProperties } from "../../src/model/properties.ts";
import { RECORD } from "../../src/model/record.ts";
import { decodeRecords, encodeTopic } from "../../src/model/record-codec.ts";
import { FRAME_HEADER_BYTES, FrameWriter, openFrame } from "../../src/protocol/frame.ts";
import { decodePage } from "../../src/storage/consume-queue.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { plainCrc32 } from "../unit/records.ts";
import { hostileName, mutated, mutations, oddValue } from "./arbitraries.ts";
import { fuzz } from "./fuzz.ts";

const ID = "0123456789ABCDEF0123456789ABCDEF";
const word = fc.oneof(hostileName, fc.string({ unit: fc.constantFrom("a", "Z", "9", "é", "签", "\u{1f600}", "-", "<", "&"), minLength: 1, maxLength: 8 }));

const message: fc.Arbitrary<Message> = fc.record(
  {
    topic: fc.constantFrom("orders", "%RETRY%g", "t".repeat(127)),
    body: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.string({ unit: "grapheme", minLength: 1 }), fc.jsonValue()).filter((body) => body !== ""),
    tags: word,
    keys: fc.array(word, { maxLength: 4 }),
    flag: fc.integer(),
    properties: fc.dictionary(word, word, { maxKeys: 5, noNullPrototype: true }),
    messageGroup: word,
  },
  { requiredKeys: ["topic", "body"] },
);

/** Runs it; a refusal has to be an MQError with a known code. Undefined = refused. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(MQError);
    expect(ERROR_CODES).toContain((error as MQError).code);
    expect((error as MQError).code).not.toBe("INTERNAL_ERROR");
    expect((error as MQError).field).toBeTypeOf("string");
    return undefined;
  }
}

function frameOf(messages: Message[]): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter(0);
  for (const one of messages) writer.write(draftMessage(one, ID), encodeTopic(one.topic), 3, 1_700_000_000_000);
  return new Uint8Array(writer.finish()).slice(0, writer.byteLength);
}

const frame = fc.array(message, { minLength: 1, maxLength: 4 }).map(frameOf);

describe("messages and records", () => {
  fuzz("what is sent is what is received", message, 500, (given) => {
    const [got] = decodeRecords(frameOf([given]).subarray(FRAME_HEADER_BYTES), "broker-a");
    const { body, keys = [], properties = {}, ...rest } = given;
    expect(got).toMatchObject({ ...rest, msgId: ID, queueId: 3 });
    expect(got!.keys).toEqual(keys);
    expect(Object.entries(got!.properties)).toEqual(Object.entries(properties));
    if (typeof body === "string") expect(got!.text()).toBe(body);
    else if (body instanceof Uint8Array) expect(got!.body).toEqual(body);
    else expect(got!.json()).toEqual(JSON.parse(JSON.stringify(body)));
  });

  fuzz("a message with wrong parts is refused by field, or is whole", mutated(message), 2000, (given) => {
    const draft = attempt(() => draftMessage(given, ID));
    if (draft === undefined) return;
    const writer = new FrameWriter(0);
    writer.write(draft, encodeTopic(draft.topic), 0, 0);
    expect(decodeRecords(new Uint8Array(writer.finish(), FRAME_HEADER_BYTES, writer.byteLength - FRAME_HEADER_BYTES), "b")).toHaveLength(1);
  });

  fuzz("anything at all as a message", oddValue, 500, (given) => void attempt(() => draftMessage(given as Message, ID)));

  fuzz("records that the broker takes, a client can read", fc.tuple(frame, mutations, fc.boolean()), 2000, ([good, mutate, mendCrc]) => {
    const records = mutate(good.subarray(FRAME_HEADER_BYTES));
    if (mendCrc) mendFirstCrc(records);
    const indexer = new TsIndexer();
    indexer.open(1000);
    const table = indexer.check(records);
    for (let row = 0; row < table.count; row++) {
      const [got] = decodeRecords(records.subarray(table.at[row], table.at[row]! + table.size[row]!), "b");
      expect(got!.topic).toBe(table.topics[table.topicIndex[row]!]);
    }
  });
});

/** A lie about a length is only believed when the checksum agrees. */
function mendFirstCrc(records: Uint8Array): void {
  if (records.length < RECORD.body) return;
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  const length = view.getInt32(RECORD.bodyLength);
  if (length < 0 || RECORD.body + length > records.length) return;
  view.setInt32(RECORD.bodyCrc, plainCrc32(records.subarray(RECORD.body, RECORD.body + length)) & 0x7fffffff);
}

describe("frames", () => {
  fuzz("a changed frame is refused, or within its own bytes", fc.tuple(frame, mutations), 2000, ([good, mutate]) => {
    const bytes = mutate(good);
    const opened = attempt(() => openFrame(new Uint8Array(bytes).buffer));
    if (opened === undefined) return;
    expect(opened.records.byteLength).toBeLessThanOrEqual(bytes.length - FRAME_HEADER_BYTES);
    expect(opened.count > 0 && opened.count <= MAX_FRAME_RECORDS).toBe(true);
  });

  fuzz("anything at all as a frame", oddValue, 500, (value) => void attempt(() => openFrame(value)));
});

describe("pages", () => {
  fuzz("bytes that are no page are none", fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 5 })), 1000, ([bytes, page]) => {
    // A checksum that agrees by chance is one in four milliards.
    expect(decodePage(bytes, ["t", 0, page])).toBeNull();
  });
});

describe("text", () => {
  const tag = fc.string({ unit: fc.constantFrom("A", "é", "签", "|", "*", "\u00a0", "-"), minLength: 1, maxLength: 4 });
  const blank = fc.constantFrom("", " ", "\t", "\u0000 ", "\n");
  const expression = fc.array(fc.tuple(blank, tag, blank).map((parts) => parts.join("")), { maxLength: 30 }).map((parts) => parts.join("||"));

  fuzz("a tag expression means what a plain reading of it means", fc.tuple(expression, tag), 1000, ([text, asked]) => {
    const parsed = attempt(() => parseTagExpression(text));
    // The plain reading, after RocketMQ's FilterAPI: split, trim what Java trims, drop what is empty.
    // oxlint-disable-next-line no-control-regex -- Java trims control characters
    const trim = (part: string): string => part.replaceAll(/^[\u0000-\u0020]+|[\u0000-\u0020]+$/g, "");
    const tags = text.split("||").map(trim).filter((part) => part !== "");
    const all = trim(text) === "" || trim(text) === "*";
    if (parsed === undefined) return expect(!all && tags.length === 0).toBe(true);
    expect(matchesTag(parsed, asked)).toBe(all || tags.includes(asked));
  });

  fuzz("any text as a tag expression", fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom("|", " ", "a", "*") }), fc.nat({ max: 9000 }).map((n) => "|| ".repeat(n))), 1000, (text) => {
    try {
      const parsed = parseTagExpression(text);
      expect(parseTagExpression(parsed.tags.length === 0 ? "*" : `${parsed.tags.join(" || ")} ||`).tags).toEqual(parsed.tags);
    } catch (error) {
      expect(error).toMatchObject({ name: "MQError", code: "SUBSCRIPTION_PARSE_FAILED", field: "expression" });
      expect((error as MQError).position).toBeLessThanOrEqual(MAX_EXPRESSION_LENGTH);
    }
  });

  const separated = fc.array(fc.oneof(fc.constantFrom("\u0001", "\u0002"), hostileName, fc.string({ unit: "binary", maxLength: 4 }))).map((parts) => parts.join(""));
  fuzz("any property text decodes to plain data, once and for all", separated, 1000, (text) => {
    const decoded = decodeProperties(text);
    expect(Object.getPrototypeOf(decoded)).toBeNull();
    expect(decodeProperties(encodeProperties(decoded))).toEqual(decoded);
  });

  const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdefABCDEF0000g \n"), minLength: 30, maxLength: 34 });
  fuzz("any text as an offsetMsgId", fc.oneof(hex, fc.string()), 1000, (text) => {
    const parsed = attempt(() => parseOffsetMsgId(text));
    if (parsed !== undefined) expect(offsetMsgId(parsed.ip, parsed.port, parsed.position)).toBe(text.toUpperCase());
  });
});
