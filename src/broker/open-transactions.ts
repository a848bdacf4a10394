import { asMQError } from "../model/errors.ts";
import { FETCH_TARGET_BYTES } from "../model/limits.ts";
import type { OpenTransaction, OpenTransactionsReply, OpenTransactionsRequest } from "../protocol/api.ts";
import { finishOfHalf, type HalfMessages } from "./half-messages.ts";
import type { Mover } from "./mover.ts";
import type { TransactionChecks } from "./transaction-checks.ts";
import { waitingMessage } from "./waiting-message.ts";

/** Shows an operator the transactions that are in doubt. */
export class OpenTransactions {
  readonly #halves: HalfMessages;
  readonly #checks: TransactionChecks;
  readonly #mover: Mover;

  constructor(halves: HalfMessages, checks: TransactionChecks, mover: Mover) {
    this.#halves = halves;
    this.#checks = checks;
    this.#mover = mover;
  }

  async list({ offset, max }: OpenTransactionsRequest): Promise<OpenTransactionsReply> {
    await this.#halves.caughtUp();
    const transactions: OpenTransaction[] = [];
    let bytes = 0;
    for (const half of this.#halves.all()) {
      const { transactionId, group: producerGroup, queueOffset, checkTimes: checks } = half;
      if (queueOffset < offset) continue;
      if (transactions.length === max || bytes >= FETCH_TARGET_BYTES) return { transactions, nextOffset: queueOffset };
      const source = await this.#mover.read(finishOfHalf(queueOffset)).catch(asMQError);
      // Ended meanwhile; or its topic was deleted, or it is damaged: it is given up when its check is due.
      if (!("bytes" in source) || this.#halves.find(transactionId) !== half) continue;
      bytes += source.bytes.byteLength;
      transactions.push({ ...waitingMessage(source), transactionId, producerGroup, checks, nextCheckTimestamp: this.#checks.next(half) });
    }
    return { transactions, nextOffset: null };
  }
}
