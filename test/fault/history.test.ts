import { describe, expect, test } from "vitest";
import { type Acked, deliveredTwice, disordered, gaps, History, lost, undelivered } from "../support/history.ts";

const acked = (queueOffset: number, more: Partial<Acked> = {}): Acked => ({
  producer: "p", topic: "t", queueId: 0, queueOffset, msgId: `id${queueOffset}`, content: `m ${queueOffset}`, ...more,
});
const three = [acked(0), acked(1), acked(2)];
const numberOf = ({ content }: Acked): number => Number(content.split(" ")[1]);

describe("the checks of a history find what they are for", () => {
  test("nothing wrong, and more present than acknowledged", () => {
    const present = [...three, acked(3)];
    expect([lost(three, present), disordered(three, numberOf), gaps(present)].flat()).toEqual([]);
    const delivered = three.map((message) => ({ ...message, consumer: "c" }));
    expect([undelivered(three, delivered), deliveredTwice(delivered)].flat()).toEqual([]);
  });

  test("a message that is missing, another at its place, its content changed", () => {
    expect(lost(three, three.slice(1))).toEqual(["lost t:0:0 id0"]);
    expect(lost(three, [acked(0, { msgId: "other" }), acked(1), acked(2)])).toEqual(["replaced t:0:0: id0 by other"]);
    expect(lost(three, [acked(0, { content: "m X" }), acked(1), acked(2)])).toEqual(["changed t:0:0: m 0 into m X"]);
    expect(lost(three, three.map((message) => ({ ...message, queueId: 1 })))).toHaveLength(3);
  });

  test("a later message before an earlier one of the same producer and queue, and only of the same", () => {
    expect(disordered([acked(5, { content: "m 1" }), acked(4, { content: "m 2" })], numberOf)).toEqual(["p t:0: t:0:4 after t:0:5"]);
    expect(disordered([acked(5, { content: "m 1" }), acked(4, { content: "m 2", producer: "q" })], numberOf)).toEqual([]);
    expect(disordered([acked(5, { content: "m 1" }), acked(4, { content: "m 2", queueId: 1 })], numberOf)).toEqual([]);
  });

  test("an offset left out or given twice", () => {
    expect(gaps([acked(0), acked(2)])).toEqual(["t:0:2 follows t:0:0"]);
    expect(gaps([acked(0), acked(0, { msgId: "again" })])).toEqual(["t:0:0 follows t:0:0"]);
    expect(gaps([acked(0), acked(7, { queueId: 1 })])).toEqual([]);
  });

  test("a message nobody got, and one that two got", () => {
    const history = new History();
    history.add({ kind: "acked", messages: three });
    history.add({ kind: "delivered", messages: [{ ...three[0]!, consumer: "a" }, { ...three[0]!, consumer: "b" }, { ...three[1]!, consumer: "a" }] });
    expect(undelivered(history.acked, history.delivered)).toEqual(["undelivered t:0:2"]);
    expect(deliveredTwice(history.delivered)).toEqual(["t:0:0 to a and b"]);
  });
});
