import { MQError } from "./errors.ts";

/* RocketMQ's rules for transactional messages (TransactionalMessageServiceImpl, EndTransactionProcessor), as pure functions. Times are ms. */

/** How a local transaction ended, as far as is known. RocketMQ's `LocalTransactionState`. */
export type TransactionState = "COMMIT" | "ROLLBACK" | "UNKNOWN";
/** How a transaction ended, for good. */
export type TransactionOutcome = Exclude<TransactionState, "UNKNOWN">;

/** Of a record's sysFlag: RocketMQ's TRANSACTION_PREPARED_TYPE and TRANSACTION_COMMIT_TYPE. */
export const TRANSACTION_PREPARED = 0x4;
export const TRANSACTION_COMMITTED = 0x8;
export const TRANSACTION_BITS = TRANSACTION_PREPARED | TRANSACTION_COMMITTED;

/** A user property: no check before so many seconds after the message was born. */
export const CHECK_IMMUNITY_TIME = "CHECK_IMMUNITY_TIME_IN_SECONDS";

export interface TransactionRules {
  transactionTimeout: number;
  transactionCheckInterval: number;
  transactionCheckMax: number;
  fileReservedTime: number;
}

/** What the rules ask of a half message. */
export interface HalfTimes {
  born: number;
  stored: number;
  /** Checks that a member of its producer group has received, and when the last of them was. */
  checkTimes: number;
  checkedAt: number;
  /** The text of CHECK_IMMUNITY_TIME. */
  immunity: string | undefined;
}

/** How old it must be before it is checked. What is no number is the default, and so is -1. */
function immunityOf({ immunity }: Pick<HalfTimes, "immunity">, timeout: number): number {
  const seconds = immunity !== undefined && /^[+-]?\d{1,12}$/.test(immunity) ? Number(immunity) : -1;
  return seconds === -1 ? timeout : seconds * 1000;
}

/** What is to be done about a half message that nobody has decided. `discard`: it is given up. */
export function judgeHalf(half: HalfTimes, now: number, rules: TransactionRules): "wait" | "check" | "discard" {
  const age = now - half.born;
  if (half.checkTimes >= rules.transactionCheckMax || age > rules.fileReservedTime) return "discard";
  if (half.stored >= now) return "wait";
  // The clock was set back since it was born.
  if (age < 0 && half.immunity === undefined) return "check";
  return age > immunityOf(half, rules.transactionTimeout) ? "check" : "wait";
}

/**
 * When `judgeHalf` next has something to say. Each half message has rounds of its own, one interval after the other from
 * its storing on, or from its last check on.
 */
export function nextRound(half: HalfTimes, rules: TransactionRules): number {
  const { transactionCheckInterval: interval, transactionTimeout } = rules;
  const givenUp = half.born + rules.fileReservedTime + 1;
  if (half.checkTimes > 0) return Math.min(half.checkedAt + interval, givenUp);
  const first = half.stored + interval;
  const isUnborn = half.immunity === undefined && first < half.born;
  const rounds = isUnborn ? 1 : Math.max(1, Math.floor((half.born + immunityOf(half, transactionTimeout) - half.stored) / interval) + 1);
  return Math.min(half.stored + rounds * interval, givenUp);
}

/** A wish to end a transaction, and what it is about. */
export interface EndWish {
  state: TransactionState;
  /** An answer to a check, and not the end of the local transaction itself. */
  fromCheck: boolean;
  /** Null = an operator's. */
  group: string | null;
}

/**
 * Why a wish is refused; null = it is carried out. The half message is named by its transaction's id: one that is not
 * there has been named wrongly.
 */
export function refuseEnd(wish: EndWish, half: (Pick<HalfTimes, "born" | "immunity"> & { group: string }) | null, now: number, { transactionTimeout }: Pick<TransactionRules, "transactionTimeout">): MQError | null {
  if (half === null) return new MQError("SYSTEM_ERROR", "There is no half message of this transaction.", { field: "transactionId" });
  // Only who has asked for a time of its own is held to it, as in RocketMQ.
  const isLate = half.immunity !== undefined && now - half.born > Math.max(immunityOf(half, transactionTimeout), transactionTimeout);
  if (isLate && !wish.fromCheck) {
    return new MQError("ILLEGAL_OPERATION", `The local transaction took longer than its ${CHECK_IMMUNITY_TIME}; the answer to a check decides.`, { field: "state" });
  }
  if (wish.group !== null && half.group !== wish.group) return new MQError("SYSTEM_ERROR", `The transaction is not one of the producer group "${wish.group}".`, { field: "group" });
  return null;
}

/** Whether the local transaction is run after the half message was sent; else the transaction is rolled back. */
export function runsLocally(sendStatus: string): boolean {
  return sendStatus === "SEND_OK";
}

/** What an application's listener has answered; whatever is no answer leaves it open. */
export function stateOf(answer: unknown): TransactionState {
  return answer === "COMMIT" || answer === "ROLLBACK" ? answer : "UNKNOWN";
}
