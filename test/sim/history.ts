import { createHash } from "node:crypto";
import type { Acked, Stored } from "../support/history.ts";

/** A queue as text: `topic:queueId`. */
export type QueueName = string;

/** A message of a queue, for a group, as text: `group topic:queueId:queueOffset`. */
export type GroupPlace = string;

/** What can happen to the world from outside. `until` is set where it lasts. */
export type FaultKind =
  /** The host stops for good, pauses, or loses its right to write. */
  | "host killed" | "host paused" | "writer lock stolen"
  /** A transaction: not done and said so, done and called failed, refused for lack of room; the connection is gone. */
  | "commit failed" | "commit misreported" | "quota used up" | "store lost" | "read failed"
  | "tab crashed" | "tab frozen" | "tab hidden" | "tab closed"
  | "row damaged" | "clock jumped" | "disk slow" | "messages slow" | "timers throttled";

export type Entry =
  /** `by`: of a clock, how far it was put ahead, ms. */
  | { type: "fault"; kind: FaultKind; agent: string; until?: number; by?: number }
  /** A call of the public API, and its end. `limit`: by when it has to have settled, ms after the call. */
  | { type: "call"; call: number; tab: string; what: string; limit: number }
  | { type: "settled"; call: number; code?: string; outcome?: string; frozen: number }
  /** What was sent with a call; `number` orders a producer's messages. */
  | { type: "sent"; call: number; tab: string; producer: string; topic: string; number: number; contents: string[]; again: boolean }
  | { type: "acked"; call: number; messages: (Acked & { number: number })[] }
  /** A transaction has been applied: these records are on disk. */
  | { type: "stored"; epoch: number; position: number; end: number; record: Stored; tags: string; storeTimestamp?: number; finishes?: GroupPlace }
  | { type: "offset stored"; epoch: number; group: string; topic: string; queueId: number; offset: number }
  /** It is durable that the group has finished this key. */
  | { type: "key stored"; epoch: number; group: string; key: string }
  | { type: "epoch"; epoch: number }
  /** Retention has cut off the log before `position`; where the queues begin now, as the store says. */
  | { type: "removed"; epoch: number; position: number; begins: [queue: QueueName, minOffset: number][] }
  /** A consumer was told that messages it had not had are gone. */
  | { type: "moved"; consumer: string; group: string; queue: QueueName; from: number; to: number }
  /** A tab was told where queues begin. */
  | { type: "begins told"; tab: string; begins: [queue: QueueName, minOffset: number][] }
  | { type: "joined"; consumer: string; tab: string; group: string; kind: "push" | "pull" | "simple" }
  | { type: "leaving"; consumer: string }
  | { type: "left"; consumer: string }
  | { type: "rebalanced"; consumer: string; assigned: QueueName[]; revoked: QueueName[] }
  | { type: "sought"; consumer: string; queue: QueueName }
  /** A listener begins, a listener is done. `batch`: the first delivery of the same call. */
  | { type: "delivered"; delivery: number; consumer: string; group: string; attempt: number; message: Stored; batch?: number }
  | { type: "consumed"; delivery: number; isOk: boolean }
  /** What is sent with this msgId is to be in order with others of its messageGroup. */
  | { type: "grouped"; msgId: string; messageGroup: string }
  /** A simple consumer, which asked at `asked`, has been given a message for so long; asks for another time, or for its end. `isOk` null: nobody knows. */
  | { type: "claimed"; claim: number; consumer: string; group: string; asked: number; invisible: number; message: Stored }
  | { type: "change asked" | "ack asked"; claim: number; invisible?: number }
  | { type: "change answered" | "ack answered"; claim: number; isOk: boolean | null }
  /** An admin moves a group; where it begins in each queue then, null when nobody knows. */
  | { type: "reset asked"; reset: number; group: string; queues: QueueName[] }
  | { type: "reset answered"; reset: number; offsets: [queue: QueueName, offset: number][] | null }
  /** A send was answered SEND_OK; a message that is to wait so long was asked for; a recall was answered, null = nobody knows. Messages are called by their content. */
  | { type: "accepted"; content: string }
  | { type: "timed"; content: string; after: number }
  | { type: "recall asked"; content: string }
  | { type: "recall answered"; content: string; isRecalled: boolean | null }
  /** In the application's own database in the end. */
  | { type: "ordered"; content: string }
  /** A transaction has begun; its application has decided, for good: that is in its own database. */
  | { type: "begun"; content: string }
  | { type: "decided"; content: string; decision: "COMMIT" | "ROLLBACK" }
  /** The newest transactions are gone: all records from `position` on. What is left of the offsets: "group topic:queue" -> offset; and of the cuts. */
  | { type: "tail lost"; position: number; offsets: Record<string, number>; begin: number; begins: [queue: QueueName, minOffset: number][] }
  /** A broker has noted in the store that something of it was lost. */
  | { type: "loss noted" }
  /** These cannot be read any more. */
  | { type: "damaged"; places: string[] }
  /** A tab has heard of bytes that cannot be read. */
  | { type: "damage told"; position: number; bytes: number }
  /** The world has been healed and has come to rest; what it looks like then, and what the broker calls damaged. */
  | { type: "rest"; isReached: boolean; readable: Stored[]; backlogs: Record<string, number>; rebuilt: Stored[]; lookedAt: number; damaged: { position: number; bytes: number }[] };

export type At<E = Entry> = E & { at: number };
export type Of<T extends Entry["type"]> = At<Extract<Entry, { type: T }>>;
export type History = readonly At[];

export class Trace {
  readonly entries: At[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(entry: Entry): void {
    this.entries.push({ at: Math.round(this.#now() * 1000) / 1000, ...entry });
  }

  /** One line each, as they go into the hash. */
  lines(): string[] {
    return this.entries.map((entry) => JSON.stringify(entry));
  }

  hash(): string {
    return createHash("sha256").update(this.lines().join("\n")).digest("hex").slice(0, 16);
  }
}

export function entriesOf<T extends Entry["type"]>(history: History, type: T): Of<T>[] {
  return history.filter((entry): entry is Of<T> => entry.type === type);
}

export function placeOf({ topic, queueId, queueOffset }: Stored): string {
  return `${topic}:${queueId}:${queueOffset}`;
}
