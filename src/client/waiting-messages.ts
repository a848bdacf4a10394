import { MQError } from "../model/errors.ts";
import { DEFAULT_WAITING, MAX_KEY_LENGTH, MAX_WAITING } from "../model/limits.ts";
import { checkClientTopic } from "../model/names.ts";
import { isCopyTopic } from "../model/system-names.ts";
import { recallHandle } from "../model/timer.ts";
import type { TransactionOutcome } from "../model/transaction.ts";
import type { OpenTransaction, OpenTransactionsReply, PendingTimer, PendingTimersReply, TimerPlace } from "../protocol/api.ts";
import { filled, integer, named, offset, oneOf, optional, record } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";

/* Messages that nobody is given yet, as an operator sees them. */

/** What `admin.openTransactions` takes. */
export interface OpenTransactionsOptions {
  /** Default 100; at most 4000, and there are never more. */
  max?: number;
}

/** What `admin.pendingTimers` takes. */
export interface PendingTimersOptions {
  topic?: string;
  /** Times of delivery, ms since 1970, inclusive. */
  begin?: number;
  end?: number;
  /** Default 100; at most 4000. */
  max?: number;
}

/** What `admin.endTransaction` takes. */
export interface EndTransactionOptions {
  /** The transaction's id. */
  msgId: string;
  state: TransactionOutcome;
}

const most = optional(integer(1, MAX_WAITING));
const openTransactionsOptions = record({ max: most });
const pendingTimersOptions = record({ topic: optional(named(checkClientTopic)), begin: optional(offset), end: optional(offset), max: most });
const endTransactionOptions = record({ msgId: filled(MAX_KEY_LENGTH), state: oneOf("COMMIT", "ROLLBACK") });

/** One call is bounded, in bytes; this goes on until there are enough. */
export async function openTransactions(connection: Connection, options: OpenTransactionsOptions): Promise<OpenTransaction[]> {
  const { max = DEFAULT_WAITING } = openTransactionsOptions(options, "openTransactions");
  const found: OpenTransaction[] = [];
  for (let next: number | null = 0; next !== null && found.length < max; ) {
    const reply: OpenTransactionsReply = await connection.call("openTransactions", [{ offset: next, max: max - found.length }]);
    found.push(...reply.transactions);
    next = reply.nextOffset;
  }
  return found;
}

/** The same. */
export async function pendingTimers(connection: Connection, options: PendingTimersOptions): Promise<PendingTimer[]> {
  const { topic = null, begin = 0, end = Number.MAX_SAFE_INTEGER, max = DEFAULT_WAITING } = pendingTimersOptions(options, "pendingTimers");
  const found: PendingTimer[] = [];
  let after: TimerPlace | null = null;
  do {
    const reply: PendingTimersReply = await connection.call("pendingTimers", [{ topic, begin, end, after, max: max - found.length }]);
    found.push(...reply.timers.map((timer) => ({ ...timer, ...handleOf(timer, connection.serving.brokerName) })));
    after = reply.next;
  } while (after !== null && found.length < max);
  return found;
}

/** Whoever called off what a group is to try again would take it from the group without a word. */
function handleOf({ topic, msgId, deliverTimestamp: due, delayTimeLevel }: PendingTimer, brokerName: string): Pick<PendingTimer, "recallHandle"> {
  return delayTimeLevel !== undefined || isCopyTopic(topic) ? {} : { recallHandle: recallHandle({ topic, brokerName, due, msgId }) };
}

export async function endTransaction(connection: Connection, options: EndTransactionOptions): Promise<void> {
  const { msgId, state } = endTransactionOptions(options, "endTransaction");
  const ended = await connection.call("endTransaction", [{ producerGroup: null, transactionId: msgId, state, fromCheck: true }]);
  if (ended.state !== state) throw new MQError("ILLEGAL_OPERATION", `The transaction has ended with ${ended.state}.`, { field: "endTransaction.state" });
}
