import { describe, expect, test } from "vitest";
import { splitBatch, type Message } from "../../src/index.ts";
import { checkBatch } from "../../src/model/batch.ts";
import { draftMessage } from "../../src/model/message.ts";
import { MAX_FRAME_RECORDS } from "../../src/model/limits.ts";

const ID = "F".repeat(32);
const check = (batch: Message[], maxBytes?: number): void => checkBatch(batch.map((message) => draftMessage(message, ID)), maxBytes);
const messages = (count: number, bodyBytes: number): Message[] => Array.from({ length: count }, (_, at) => ({ topic: "t", body: new Uint8Array(bodyBytes).fill(at) }));

describe("splitBatch", () => {
  test("each part is a batch that is taken, none could hold the next message too, and all are there in their order", () => {
    const all = messages(25, 500_000);
    const parts = splitBatch(all);
    expect(parts.flat()).toEqual(all);
    for (const part of parts) expect(() => check(part)).not.toThrow();
    for (const [at, part] of parts.slice(0, -1).entries()) expect(() => check([...part, parts[at + 1]![0]!])).toThrow(/the limit is 4194304/);
  });

  test("a limit of one's own, met to the byte", () => {
    const [message] = messages(1, 100);
    const size = 22 + 100 + draftMessage(message!, ID).propertiesBytes;
    expect(splitBatch([message!, message!, message!], 2 * size).map((part) => part.length)).toEqual([2, 1]);
    expect(splitBatch([message!, message!, message!], 2 * size - 1).map((part) => part.length)).toEqual([1, 1, 1]);
    expect(() => splitBatch([message!], size)).not.toThrow();
    expect(() => splitBatch([message!, message!], size - 1)).toThrow(expect.objectContaining({ code: "MESSAGE_ILLEGAL", field: "messages[0]", message: `Message 0 by itself has ${size} bytes; the limit is ${size - 1}.` }));
  });

  test("a new one begins where messages cannot be together", () => {
    const message = (more: object): Message => ({ topic: "t", body: "x", ...more });
    const list = [message({}), message({}), message({ topic: "u" }), message({ topic: "u", waitStoreMsgOK: false }), message({ messageGroup: "g" }), message({ messageGroup: "g" }), message({ priority: 1 }), message({ priority: 2 })];
    expect(splitBatch(list).map((part) => part.length)).toEqual([2, 1, 1, 2, 1, 1]);
    for (const part of splitBatch(list)) expect(() => check(part)).not.toThrow();
  });

  test("many tiny ones: no more than a frame carries", () => {
    const parts = splitBatch(messages(MAX_FRAME_RECORDS + 1, 1));
    expect(parts.map((part) => part.length)).toEqual([MAX_FRAME_RECORDS, 1]);
    expect(() => check([...parts[0]!, ...parts[1]!])).toThrow(`has ${MAX_FRAME_RECORDS + 1} messages; the limit is ${MAX_FRAME_RECORDS}`);
    const long = splitBatch(messages(MAX_FRAME_RECORDS, 1).map((message) => ({ ...message, topic: "t".repeat(127) })));
    expect(long).toHaveLength(2);
    expect(() => check(long.flat())).toThrow(/bytes in the log/);
  });

  test("nothing, and what is no message", () => {
    expect(splitBatch([])).toEqual([]);
    const refusal = (code: string, field: string): unknown => expect.objectContaining({ code, field });
    expect(() => splitBatch("x" as never)).toThrow(refusal("INVALID_PARAMETER", "messages"));
    for (const bad of [0, -1, 1.5, Number.NaN, 4 * 2 ** 20 + 1, "1"]) expect(() => splitBatch([], bad as never)).toThrow(refusal("INVALID_PARAMETER", "maxBytes"));
    const ok: Message = { topic: "t", body: "x" };
    expect(() => splitBatch([ok, { topic: "t", body: "" }])).toThrow(refusal("MESSAGE_ILLEGAL", "messages[1].body"));
    expect(() => splitBatch([ok, null as never])).toThrow(refusal("MESSAGE_ILLEGAL", "messages[1]"));
    // oxlint-disable-next-line no-sparse-arrays -- a hole is no message
    expect(() => splitBatch([ok, , ok] as never)).toThrow(refusal("MESSAGE_ILLEGAL", "messages[1]"));
    expect(() => splitBatch([{ topic: "t", body: "x", delayTimeLevel: 1 }])).toThrow(refusal("MESSAGE_ILLEGAL", "messages[0]"));
    expect(() => splitBatch([{ topic: "%RETRY%g", body: "x" }])).toThrow(refusal("MESSAGE_ILLEGAL", "messages[0].topic"));
    expect(() => splitBatch([Object.defineProperty({ topic: "t" }, "body", { enumerable: true, get: () => { throw new Error("no"); } }) as never])).toThrow(refusal("MESSAGE_ILLEGAL", "messages[0]"));
  });
});
