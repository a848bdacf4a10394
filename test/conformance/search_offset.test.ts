/** Each case against a real broker, in whose queue the messages were stored at the case's times. */
import { afterEach, describe, expect, test } from "vitest";
import { STORED_QUEUE, storedQueue } from "../support/stored-queue.ts";
import type { NodeOrigin } from "../support/node-broker.ts";
import table from "./data/search_offset.json";

let origin: NodeOrigin;
afterEach(() => origin.close());

describe("search_offset: 5.x, LOWER and UPPER", () => {
  for (const { id, storeTimes, minOffset, maxOffset, timestamp, expected, note = "" } of table.cases) {
    if (expected.lower === undefined) {
      test(`row ${id}: ${note}`, async () => {
        origin = await storedQueue(storeTimes, minOffset);
        const { admin } = await origin.connect();
        const reset = await admin.resetOffset({ group: "g", topic: "t", timestamp });
        expect(reset).toEqual([{ ...STORED_QUEUE, offset: expected.adminReset }]);
        expect((await admin.consumeStats("g")).queues[0]!.consumerOffset).toBe(expected.adminReset);
      });
      continue;
    }
    test(`row ${id}: ${timestamp} in [${storeTimes.join()}] from ${minOffset} ${note}`, async () => {
      origin = await storedQueue(storeTimes, minOffset);
      const { admin } = await origin.connect();
      expect([await admin.minOffset(STORED_QUEUE), await admin.maxOffset(STORED_QUEUE)]).toEqual([minOffset, maxOffset]);
      expect(await admin.searchOffset(STORED_QUEUE, timestamp)).toBe(expected.lower);
      expect(await admin.searchOffset(STORED_QUEUE, timestamp, "LOWER")).toBe(expected.lower);
      expect(await admin.searchOffset(STORED_QUEUE, timestamp, "UPPER")).toBe(expected.upper);
    });
  }
});
