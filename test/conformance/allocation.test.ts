import { describe, expect, it } from "vitest";
import { type AllocateOptions, type AllocateStrategyName, allocateMessageQueues, type MessageQueue } from "../../src/index.ts";
import table from "./data/allocation.json";

interface Row {
  id: number;
  strategy: AllocateStrategyName;
  current?: string;
  consumers: string[];
  queues: string[];
  params?: { messageQueueList?: string[]; consumerIdcs?: string[]; inner?: AllocateStrategyName; brokerRoom?: string; consumerRoom?: string; virtualNodes?: number };
  expected?: Record<string, string[] | null>;
  expected_error?: string;
  note?: string;
}

const rows = table.cases as unknown as Row[];

function queueOf(text: string): MessageQueue {
  const [topic = "", brokerName = "", queueId] = text.split(":");
  return { topic, brokerName, queueId: Number(queueId) };
}

const nameOf = ({ topic, brokerName, queueId }: MessageQueue): string => `${topic}:${brokerName}:${queueId}`;

function optionsOf({ params = {}, consumers, queues }: Row): Omit<AllocateOptions, "currentClientId"> {
  const { messageQueueList, brokerRoom, consumerRoom, ...rest } = params;
  // The table tells both in words: up to the first hyphen. Where it does not, nothing is in any room.
  const roomOf = (told: string | undefined) => (name: string) => (told === undefined ? null : name.split("-")[0]);
  return {
    clientIds: consumers,
    queues: queues.map(queueOf),
    ...rest,
    ...(messageQueueList === undefined ? {} : { messageQueueList: messageQueueList.map(queueOf) }),
    brokerRoom: roomOf(brokerRoom),
    consumerRoom: roomOf(consumerRoom),
  };
}

describe("allocation", () => {
  it.each(rows)("row $id, $strategy: $note", (row) => {
    const options = optionsOf(row);
    const allocate = (currentClientId: string): string[] => allocateMessageQueues(row.strategy, { currentClientId, ...options }).map(nameOf);
    if (row.expected_error !== undefined) {
      for (const id of row.current === undefined ? row.consumers : [row.current]) {
        expect(() => allocate(id)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
      }
      return;
    }
    expect(Object.fromEntries(Object.keys(row.expected!).map((id) => [id, allocate(id)]))).toEqual(row.expected);
  });
});
