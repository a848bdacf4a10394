import { describe, expect, it } from "vitest";
import { checkBatch } from "../../src/model/batch.ts";
import { MQError } from "../../src/model/errors.ts";
import { draftMessage, type Message } from "../../src/model/message.ts";
import table from "./data/batch.json";

interface Member {
  topic: string;
  waitStoreMsgOK: boolean;
  delayLevel: number;
  bodyBytes: number;
  keys?: string;
  timerDelaySec?: number;
}

const REASONS: Record<string, RegExp> = {
  "topics differ": /share one topic/,
  "waitStoreMsgOK differs": /share one waitStoreMsgOK/,
  "delay not supported": /cannot wait for its time/,
  "retry topic not supported": /cannot go to a retry topic/,
  "nothing to send": /is empty/,
  "body empty": /The body is empty/,
  "topic blank": /must not be blank/,
  "topic forbidden": /belongs to the broker/,
  "body too large": /The body has 4194305 bytes/,
  "batch too large": /The batch has \d+ bytes; the limit is 4194304/,
};

/** RocketMQ takes a timer's property in a batch and ignores it. A message that is not delayed although it says so is a surprise: refused. */
const REFUSED_HERE = new Set([27]);

const ID = "F".repeat(32);

function messageOf({ topic, waitStoreMsgOK, delayLevel, bodyBytes, keys, timerDelaySec }: Member): Message {
  const level = timerDelaySec === undefined ? delayLevel : 3;
  return { topic, waitStoreMsgOK, body: new Uint8Array(bodyBytes), ...(level !== 0 && { delayTimeLevel: level }), ...(keys !== undefined && { keys }) };
}

describe("batch", () => {
  it.each(table.cases)("row $id: $note", ({ id, messages, expected, error }) => {
    const send = (): void => checkBatch((messages as Member[]).map((member) => draftMessage(messageOf(member), ID)));
    if (REFUSED_HERE.has(id)) return expect(send).toThrow(REASONS["delay not supported"]!);
    if (expected === "ok") return expect(send).not.toThrow();
    expect(send).toThrow(MQError);
    const reason = REASONS[error!];
    expect(reason, error).toBeDefined();
    expect(send).toThrow(reason!);
  });
});
