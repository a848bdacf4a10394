/** The rules of producers' retries, where they are given what they do not know. What they know: conformance/queue_selection.test.ts. */
import { describe, expect, test } from "vitest";
import { maySendAgain, notAvailableDuration, SelectMessageQueueByConsistentHash, SelectMessageQueueByHash, SelectMessageQueueByRandom } from "../../src/index.ts";

const STRANGE: readonly unknown[] = [undefined, null, Number.NaN, "x", "__proto__", {}, Object.create(null), [], Symbol("s"), () => {}];
const refused = (field: string): object => expect.objectContaining({ name: "MQError", code: "INVALID_PARAMETER", field }) as object;

describe("what is not known is refused as such", () => {
  test("notAvailableDuration", () => {
    for (const rules of ["6", "", ...STRANGE.slice(1)]) expect(() => notAvailableDuration(600, rules as "5")).toThrow(refused("rules"));
    for (const latency of [...STRANGE, -1, "600"]) expect(() => notAvailableDuration(latency as number)).toThrow(refused("latency"));
    expect([notAvailableDuration(600), notAvailableDuration(600, "4")]).toEqual([2000, 30_000]);
  });

  test("maySendAgain", () => {
    for (const outcome of STRANGE.filter((one) => typeof one !== "string")) expect(() => maySendAgain(outcome as "SEND_OK", 1)).toThrow(refused("outcome"));
    expect(maySendAgain("remoting-error", 1)).toBe(true);
  });

  test.each([SelectMessageQueueByHash, SelectMessageQueueByConsistentHash, SelectMessageQueueByRandom])("%o", (select) => {
    // With what has no length, the consistent hash never came to an end.
    for (const queues of [0, "", ...STRANGE]) expect(() => select(queues as [], {}, "arg")).toThrow(refused("queues"));
  });
});
