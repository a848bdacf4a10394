import type { ErrorData } from "../model/errors.ts";
import type { QueueRef } from "./send-calls.ts";

/* What simple consumers ask for. */

export interface ReceiveRequest {
  memberId: string;
  /** A number of its own for each call of the consumer. */
  receive: number;
  max: number;
  invisibleDuration: number;
  /** How long to wait for messages, ms. */
  wait: number;
}

/** Names a claim. */
export interface ClaimHandle extends QueueRef {
  queueOffset: number;
  epoch: number;
  number: number;
  version: number;
}

export interface ReceiveReply {
  /** Whole records, and the claim of each. */
  records: Uint8Array;
  handles: ClaimHandle[];
  /** What the consumer has asked for by `subscribe` is the group's: the newest number of its wishes. */
  subscribed?: { wish: number; termsVersion: number };
}

export interface AckRequest {
  memberId: string;
  handles: ClaimHandle[];
  /** These were sent before, with an outcome that nobody knows: what is finished already is well. */
  again: boolean;
}

export interface AckReply {
  /** By their places in the request. */
  refused: { index: number; error: ErrorData }[];
}

export interface ChangeInvisibleRequest {
  memberId: string;
  handle: ClaimHandle;
  invisibleDuration: number;
  again: boolean;
}
