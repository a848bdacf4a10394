import { MAX_LOCK_NAME_LENGTH } from "../model/limits.ts";
import { isDictionary } from "./validate.ts";

/*
 * The door of a namespace: a BroadcastChannel on which whoever serves it lets clients in that have no port to its worker,
 * because it hangs on another tab, or is of another build. What is said there is for everybody; what a client and its
 * broker say to each other goes over a *pipe*, a channel of their own whose name nobody can guess.
 */

export type DoorWord =
  /** A client asks to be let in; it holds the lock `from` as long as it wants to be. */
  | { type: "knock"; from: string }
  /** To that client: the name of the pipe on which this worker listens now. */
  | { type: "welcome"; to: string; pipe: string; worker: string }
  /** A host has come: whoever has knocked in vain knocks again. */
  | { type: "open" }
  /** A worker stands in line for the writer lock, and speaks and stores this. */
  | ({ type: "stand" } & Version);

export interface Version {
  protocol: number;
  format: number;
}

/** What a dedicated worker is told when its tab does not want it any more. */
export const RETIRE = "retire";

export function doorName(namespace: string, storage: string): string {
  return `tabmq/${namespace}/${storage}/door`;
}

/** Pipes of a namespace begin so. */
export function pipeName(namespace: string, random: string): string {
  return `tabmq/${namespace}/pipe/${random}`;
}

/** The lock by which a host knows that a visitor's pipe is still wanted. */
export function visitorLock(namespace: string, random: string): string {
  return `tabmq/${namespace}/visitor/${random}`;
}

/** Held by the tab on which the dedicated worker of this protocol and generation hangs. */
export function seatLock(namespace: string, storage: string, protocol: number, generation: number): string {
  return `tabmq/${namespace}/${storage}/seat/${protocol}/${generation}`;
}

/** Held by a tab's dedicated worker as long as it lives; it tells its tab the name. */
export function lifeLock(random: string): string {
  return `tabmq/worker/${random}`;
}

/** Null: nothing that this version understands. */
export function readWord(data: unknown): DoorWord | null {
  if (!isDictionary(data)) return null;
  const { type, from, to, pipe, worker, protocol, format } = data as Record<string, unknown>;
  if (type === "open") return { type };
  if (type === "knock" && isName(from)) return { type, from };
  if (type === "welcome" && isName(to) && isName(pipe) && isName(worker)) return { type, to, pipe, worker };
  if (type === "stand" && Number.isSafeInteger(protocol) && Number.isSafeInteger(format)) return { type, protocol: protocol as number, format: format as number };
  return null;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_LOCK_NAME_LENGTH;
}
