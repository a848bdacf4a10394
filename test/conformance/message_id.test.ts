import { describe, expect, it } from "vitest";
import { MAX_RECORD_BYTES } from "../../src/model/limits.ts";
import { MessageIdGenerator, offsetMsgId, parseOffsetMsgId } from "../../src/model/message-id.ts";
import { RECORD, RECORD_FIXED_BYTES, RECORD_MAGIC } from "../../src/model/record.ts";
import table from "./data/message_id.json";

function ipNumber(text: string): number {
  return text.split(".").reduce((ip, byte) => ip * 256 + Number(byte), 0);
}

describe("message_id: offsetMsgId", () => {
  it.each(table.offsetMsgId)("row $id: $offsetMsgId", ({ ip, port, commitLogOffset, offsetMsgId: expected }) => {
    const address = ipNumber(ip);
    expect(offsetMsgId(address, port, BigInt(commitLogOffset))).toBe(expected);
    const position = Number(commitLogOffset);
    if (Number.isSafeInteger(position)) {
      expect(offsetMsgId(address, port, position)).toBe(expected);
      expect(parseOffsetMsgId(expected)).toEqual({ ip: address, port, position });
    } else {
      // Positions are numbers here; a log can never grow to 2^53 bytes.
      expect(() => parseOffsetMsgId(expected)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "offsetMsgId" }));
    }
  });
});

describe("message_id: recordSize", () => {
  for (const row of table.recordSize) {
    if (row.version !== 1) {
      it.skip(`row ${row.id}: record version ${row.version}; TabMQ writes version 1 only`);
      continue;
    }
    it(`row ${row.id}`, () => {
      const size = RECORD_FIXED_BYTES + row.bodyBytes + row.topicBytes + row.propertyBytes;
      expect(size).toBe(row.ipv4TotalSize);
      expect(size).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    });
  }
});

it("message_id: uniqIdLayout", () => {
  const width = Object.fromEntries(table.uniqIdLayout) as Record<string, number>;
  const now = Date.UTC(2026, 10, 21, 2, 15);
  const id = new MessageIdGenerator((n) => Uint8Array.from({ length: n }, (_, at) => at + 1), () => now).next();
  const identity = (width["ip"]! + width["pid"]! + width["classLoaderHash"]!) * 2;
  const time = identity + width["millisecondsSinceStartOfMonth"]! * 2;
  const end = time + width["counter"]! * 2;
  expect(id.slice(0, identity)).toBe("0102030405060708090A");
  expect(Number.parseInt(id.slice(identity, time), 16)).toBe(now - Date.UTC(2026, 10));
  expect(id.slice(time)).toBe("0102");
  expect(id).toHaveLength(end);
});

it("message_id: recordLayout and magic agree with model/record", () => {
  const OURS: Record<string, keyof typeof RECORD> = { magicCode: "magic", bodyCRC: "bodyCrc" };
  let at = 0;
  for (const [field, width] of table.recordLayout as [string, number | string][]) {
    const name = OURS[field] ?? (field as keyof typeof RECORD);
    expect([field, RECORD[name]]).toEqual([field, at]);
    if (field === "body") break;
    // "8 (IPv4) or 20 (IPv6)": addresses are IPv4 here.
    at += typeof width === "number" ? width : Number.parseInt(width, 10);
  }
  expect(RECORD_MAGIC).toBe(table.magic.v1);
});

describe("message_id: sections without a counterpart yet", () => {
  it.skip(`sysFlag (${Object.keys(table.sysFlag).length} bits): no flag is used yet`);
});
