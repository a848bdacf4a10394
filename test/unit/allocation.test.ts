import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocateMessageQueues, type AllocateOptions, type AllocateStrategyName, STRATEGIES } from "../../src/model/allocation.ts";
import type { MessageQueue } from "../../src/model/queue.ts";

const queuesOf = (count: number, brokerName = "room@b"): MessageQueue[] => Array.from({ length: count }, (_, queueId) => ({ topic: "t", brokerName, queueId }));
const clientsOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`);
const rooms: Partial<AllocateOptions> = { consumerIdcs: ["room"], brokerRoom: () => "room", consumerRoom: () => "room" };
const shared = (strategy: AllocateStrategyName, clientIds: string[], queues: MessageQueue[]): MessageQueue[][] =>
  clientIds.map((currentClientId) => allocateMessageQueues(strategy, { currentClientId, clientIds, queues, ...rooms }));

const counts = [fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 140 })] as const;

it("AVG: the clients' shares, one after the other, are the queues; sizes differ by one at most, larger first", () => {
  fc.assert(
    fc.property(...counts, (clientCount, queueCount) => {
      const queues = queuesOf(queueCount);
      const shares = shared("AVG", clientsOf(clientCount), queues);
      expect(shares.flat()).toEqual(queues);
      const sizes = shares.map((share) => share.length);
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      expect(sizes[0]! - sizes.at(-1)!).toBeLessThanOrEqual(1);
    }),
  );
});

describe.each(STRATEGIES.filter((name) => name !== "CONFIG"))("%s", (strategy) => {
  it("gives each queue to one client", () => {
    fc.assert(
      fc.property(...counts, (clientCount, queueCount) => {
        const ids = shared(strategy, clientsOf(clientCount), queuesOf(queueCount)).flat().map(({ queueId }) => queueId);
        expect(ids.sort((a, b) => a - b)).toEqual(queuesOf(queueCount).map(({ queueId }) => queueId));
      }),
      { numRuns: strategy === "CONSISTENT_HASH" ? 3 : 25 },
    );
  });

  it.each([
    ["currentClientId", { currentClientId: "" }],
    ["clientIds", { clientIds: [] }],
    ["queues", { queues: [] }],
  ] as [string, Partial<AllocateOptions>][])("an empty %s is refused", (field, wrong) => {
    const options = { currentClientId: "a", clientIds: ["a"], queues: queuesOf(1), ...rooms, ...wrong };
    expect(() => allocateMessageQueues(strategy, options)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field }));
  });
});

it("CONSISTENT_HASH: who stays keeps its queues when another leaves", () => {
  const [clients, queues] = [clientsOf(8), queuesOf(64)];
  const before = shared("CONSISTENT_HASH", clients, queues);
  const after = shared("CONSISTENT_HASH", clients.slice(1), queues);
  before.slice(1).forEach((share, at) => expect(after[at]).toEqual(expect.arrayContaining(share)));
});

it.each([
  ["strategy", "AVERAGE", {}],
  ["messageQueueList", "CONFIG", {}],
  ["consumerIdcs", "MACHINE_ROOM", {}],
  ["brokerRoom", "MACHINE_ROOM_NEARBY", {}],
  ["consumerRoom", "MACHINE_ROOM_NEARBY", { brokerRoom: () => "room" }],
  ["virtualNodes", "CONSISTENT_HASH", { virtualNodes: -1 }],
] as [string, AllocateStrategyName, Partial<AllocateOptions>][])("%s that is missing or wrong is refused: %s", (field, strategy, options) => {
  const call = (): unknown => allocateMessageQueues(strategy, { currentClientId: "a", clientIds: ["a"], queues: queuesOf(1), ...options });
  expect(call).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field }));
});

it("MACHINE_ROOM_NEARBY within itself is refused, not looked into for ever", () => {
  const request = { currentClientId: "c0", clientIds: ["c0"], queues: queuesOf(1), ...rooms, inner: "MACHINE_ROOM_NEARBY" } as const;
  expect(() => allocateMessageQueues("MACHINE_ROOM_NEARBY", request)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "inner" }));
});
