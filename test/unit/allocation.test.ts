import fc from "fast-check";
import { expect, it } from "vitest";
import { allocateAveragely } from "../../src/model/allocation.ts";

it("the clients' shares, one after the other, are the queues; sizes differ by one at most, larger first", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 140 }), (clientCount, queueCount) => {
      const clients = Array.from({ length: clientCount }, (_, index) => `c${index}`);
      const queues = Array.from({ length: queueCount }, (_, queueId) => queueId);
      const shares = clients.map((client) => allocateAveragely(client, clients, queues));
      expect(shares.flat()).toEqual(queues);
      const sizes = shares.map((share) => share.length);
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      expect(sizes[0]! - sizes.at(-1)!).toBeLessThanOrEqual(1);
    }),
  );
});

it.each([
  ["currentClientId", "", ["a"], [1]],
  ["clientIds", "a", [], [1]],
  ["queues", "a", ["a"], []],
] as [string, string, string[], number[]][])("an empty %s is refused", (field, current, clients, queues) => {
  expect(() => allocateAveragely(current, clients, queues)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field }));
});
