/** How a body is written, and how a queue is read backwards. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeBody } from "../../src/devtools/message/body.ts";
import { formatJson } from "../../src/devtools/message/format-json.ts";
import { hexDump } from "../../src/devtools/message/hex.ts";
import { QueueTail } from "../../src/devtools/panels/messages/queue-tail.ts";
import type { MessageExt, PullConsumer } from "../../src/index.ts";
import { isWellFormed } from "../../src/model/text.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a body", () => {
  test("JSON is indented as JSON.stringify does it, however it was spaced", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom("", " ", "\n\t"), (value, space) => {
        expect(formatJson(JSON.stringify(value, null, space))).toBe(JSON.stringify(value, null, 2));
      }),
    );
  });

  test("numbers and repeated names stay as they were sent, which JSON.parse would change; what is no JSON is none", () => {
    const text = '{"a":12345678901234567890,"a":1.0,"b":"\\\\\\" [x]"}';
    expect(formatJson(text)).toBe('{\n  "a": 12345678901234567890,\n  "a": 1.0,\n  "b": "\\\\\\" [x]"\n}');
    // Control.
    expect(JSON.stringify(JSON.parse(text), null, 2)).not.toContain("12345678901234567890");
    expect(formatJson("{ a: 1 }")).toBeNull();
  });

  test("brackets within brackets do not grow with the square of their number", () => {
    const depth = 5000;
    const formatted = formatJson("[".repeat(depth) + "1" + "]".repeat(depth))!;
    expect(formatted.length).toBeLessThan(depth * 200);
    expect(formatted.replaceAll(/\s/g, "")).toHaveLength(2 * depth + 1);
  });

  test("the pieces of a text are the text, and no character is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "\n", "é", "😀", "x".repeat(5000)), { maxLength: 60 }), (parts) => {
        const text = parts.join("");
        const written = writeBody(bytesOf(text), "text");
        expect(written.pieces(written.length).join("")).toBe(text);
      }),
    );
    // Twice, so that the first cut would fall within a character once.
    for (const text of ["😀".repeat(9000), `a${"😀".repeat(9000)}`]) {
      const written = writeBody(bytesOf(text), "text");
      for (const shown of [10_000, 10_001, written.length]) for (const piece of written.pieces(shown)) expect(isWellFormed(piece)).toBe(true);
    }
  });

  test("bytes that are no text are said to be none, and are written as hexdump does", () => {
    expect(writeBody(Uint8Array.of(0xff, 0x41), "text")).toMatchObject({ problem: "notUtf8" });
    expect(writeBody(Uint8Array.of(0xff, 0x41), "hex").pieces(2)).toEqual([hexDump(Uint8Array.of(0xff, 0x41))]);
    expect(hexDump(Uint8Array.of(0xff, 0x41), 16)).toBe(`00000010  ff 41${" ".repeat(44)}.A`);
  });
});

describe("a queue read backwards", () => {
  /** A queue with these offsets, of which one pull gives at most `most`. */
  const pullOf = (offsets: number[], most: number): { pull: PullConsumer; calls: () => number } => {
    let calls = 0;
    const pull = async (_queue: unknown, _selector: unknown, at: number, max: number): Promise<unknown> => {
      calls++;
      const found = offsets.filter((offset) => offset >= at).slice(0, Math.min(max, most));
      const messages = found.map((queueOffset) => ({ queueOffset, storeSize: 1000, body: new Uint8Array(1), bodyKind: "bytes", keys: [] }) as unknown as MessageExt);
      return { status: found.length > 0 ? "FOUND" : "NO_NEW_MSG", messages, nextBeginOffset: (found.at(-1) ?? at) + 1, minOffset: offsets[0] ?? 0, maxOffset: (offsets.at(-1) ?? -1) + 1 };
    };
    return { pull: { pull } as unknown as PullConsumer, calls: () => calls };
  };
  const readAll = async (tail: QueueTail): Promise<number[]> => {
    const read: number[] = [];
    for (let row = await tail.newest(); row !== undefined; row = await tail.newest()) {
      read.push(row.queueOffset);
      tail.take();
    }
    return read;
  };
  const queue = { topic: "t", brokerName: "b", queueId: 0 };

  test("every message once, the newest first, however few a pull gives", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(400), { maxLength: 200 }), fc.integer({ min: 1, max: 40 }), fc.nat(400), async (given, most, end) => {
        const offsets = given.sort((a, b) => a - b);
        const expected = offsets.filter((offset) => offset < end).reverse();
        expect(await readAll(new QueueTail(pullOf(offsets, most).pull, queue, 0, end))).toEqual(expected);
      }),
    );
  });

  test("a stretch of offsets that a loss has left out is not gone through step by step", async () => {
    const { pull, calls } = pullOf([1, 2, 3, 2 ** 36], 32);
    expect(await readAll(new QueueTail(pull, queue, 0, 2 ** 36 + 1))).toEqual([2 ** 36, 3, 2, 1]);
    expect(calls()).toBeLessThan(60);
  });
});
