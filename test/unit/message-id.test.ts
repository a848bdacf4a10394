import fc from "fast-check";
import { expect, it } from "vitest";
import { MessageIdGenerator, offsetMsgId, parseOffsetMsgId } from "../../src/model/message-id.ts";

const NOW = Date.UTC(2026, 10, 21, 12);

function fixedBytes(value: number): (n: number) => Uint8Array {
  return (n) => new Uint8Array(n).fill(value);
}

/** Asserts that `count` ids are well formed and rise strictly, which includes that they are distinct. */
function expectRising(generator: MessageIdGenerator, count: number): string[] {
  const ids: string[] = [];
  let wrong: string | undefined;
  for (let i = 0; i < count; i++) {
    const id = generator.next();
    if (id.length !== 32 || id <= (ids.at(-1) ?? "")) wrong ??= `${ids.at(-1)} then ${id}`;
    ids.push(id);
  }
  expect(wrong).toBeUndefined();
  expect(ids[0]).toMatch(/^[0-9A-F]{32}$/);
  return ids;
}

it("200,000 ids rise and are unique although the clock stands still", () => {
  const ids = expectRising(new MessageIdGenerator(fixedBytes(0xfe), () => NOW), 200_000);
  expect(new Set(ids).size).toBe(200_000);
});

it("ids rise while the clock jumps back and forth", () => {
  const jumps = [0, 5, -10_000, 3, 1e9, 1e9 - 1, 20.5, 1e9 + 2];
  let call = 0;
  expectRising(new MessageIdGenerator(fixedBytes(0xff), () => NOW + jumps[call++ % jumps.length]!), 200_000);
});

it("ids rise over the end of the month", () => {
  let now = Date.UTC(2026, 11, 31, 23, 59, 59, 990);
  expectRising(new MessageIdGenerator(fixedBytes(1), () => now++), 100);
});

it("after 2^32 ms the time begins anew in the month of that moment, behind new random bytes", () => {
  let now = Date.UTC(2026, 0, 10);
  let draws = 0;
  const generator = new MessageIdGenerator((n) => new Uint8Array(n).fill(draws++), () => now);
  const first = generator.next();
  now = Date.UTC(2026, 1, 19);
  const same = generator.next();
  expect(same.slice(0, 20)).toBe(first.slice(0, 20));
  expect(Number.parseInt(same.slice(20, 28), 16)).toBe(now - Date.UTC(2026, 0));
  now = Date.UTC(2026, 4, 3);
  const later = generator.next();
  expect(later.slice(0, 20)).not.toBe(first.slice(0, 20));
  expect(Number.parseInt(later.slice(20, 28), 16)).toBe(now - Date.UTC(2026, 4));
});

it("generators of other random bytes make other ids", () => {
  const [a, b] = [1, 2].map((value) => new MessageIdGenerator(fixedBytes(value), () => NOW));
  expect(a!.next().slice(0, 20)).not.toBe(b!.next().slice(0, 20));
});

it("offsetMsgId and parseOffsetMsgId are inverse", () => {
  const uint32 = fc.nat(0xffffffff);
  fc.assert(
    fc.property(uint32, fc.nat(65_535), fc.maxSafeNat(), (ip, port, position) => {
      const text = offsetMsgId(ip, port, position);
      expect(text).toBe(offsetMsgId(ip, port, BigInt(position)));
      expect(parseOffsetMsgId(text)).toEqual({ ip, port, position });
      expect(parseOffsetMsgId(text.toLowerCase())).toEqual({ ip, port, position });
    }),
  );
});

it.each(["", "7F00", "x".repeat(32), `${"0".repeat(32)}\n`, "0".repeat(56), 5 as unknown as string])("no offsetMsgId: %j", (text) => {
  expect(() => parseOffsetMsgId(text)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "offsetMsgId" }));
});

it("a msgId is told from an offsetMsgId", () => {
  const msgId = new MessageIdGenerator(fixedBytes(0x7f), () => NOW).next();
  expect(() => parseOffsetMsgId(msgId)).toThrow(/is it a msgId/);
});
