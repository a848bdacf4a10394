import type { TransactionState } from "../model/transaction.ts";
import type { WaitingMessage } from "./query-calls.ts";

/* How transactions end. */

export interface EndTransactionRequest {
  /** Null = an operator decides, whosever it is. */
  producerGroup: string | null;
  /** The msgId of its message. */
  transactionId: string;
  state: TransactionState;
  /** It answers a check. */
  fromCheck: boolean;
}

export interface EndTransactionReply {
  /** How the transaction stands now, whoever has decided it; UNKNOWN = it is open. */
  state: TransactionState;
}

/** A message whose transaction nobody has decided yet. */
export interface OpenTransaction extends WaitingMessage {
  /** The same as the `msgId`. */
  transactionId: string;
  producerGroup: string;
  /** How often a member of the group has been asked. */
  checks: number;
  /** When the next is asked, or, where nobody of the group is there, when it is given up. */
  nextCheckTimestamp: number;
}

export interface OpenTransactionsRequest {
  /** Of the queue of half messages: where to begin. */
  offset: number;
  max: number;
}

export interface OpenTransactionsReply {
  /** The oldest first. */
  transactions: OpenTransaction[];
  /** Where to go on; null = there is no more. */
  nextOffset: number | null;
}

/** Transactions that nobody has decided yet. */
export interface PendingTransactions {
  pending: number;
  /** ms since the oldest of them was stored; 0 = there is none. */
  oldestAge: number;
}
