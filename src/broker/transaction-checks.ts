import { asMQError, MQError } from "../model/errors.ts";
import { judgeHalf, nextRound } from "../model/transaction.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { finishOfHalf, type HalfMessage, type HalfMessages } from "./half-messages.ts";
import type { Inboxes, NoticeEnd } from "./inbox.ts";
import type { Mover } from "./mover.ts";
import type { Producers } from "./producers.ts";
import type { Session } from "./session.ts";
import type { TransactionService } from "./transactions.ts";

/** The wall clock may jump forward while a timer stands, or while the machine sleeps: it is looked at this often, ms. */
const LONGEST_WAIT = 60_000;
/** How soon what was refused is tried again, ms. */
const REFUSED_DELAY = 1000;
const NEVER = Number.POSITIVE_INFINITY;

/** How the checks of one transaction stand. */
interface Check {
  /** Members that have not taken the check that is due. */
  readonly vain: Set<Session>;
  /** A member has been told, and has not received it yet. */
  isTold: boolean;
  /** Who has received it and has not answered. */
  asked: Session | null;
  /** Nobody of the group is there. */
  isUnheard: boolean;
  /** Before its round: whoever was asked is gone. */
  isUrgent: boolean;
  /** Nothing is done before. */
  rest: number;
}

export interface TransactionCheckServices {
  settings: BrokerSettings;
  halves: HalfMessages;
  transactions: TransactionService;
  producers: Producers;
  inboxes: Inboxes;
  mover: Mover;
  clock: SteadyClock;
  timers: Timers;
}

/**
 * Asks members of a producer group how a transaction has ended that nobody has ended in time: one after the other, until
 * one answers. Only a check that a member has received counts. One timer stands for the next that is due.
 */
export class TransactionChecks {
  readonly #services: TransactionCheckServices;
  readonly #checks = new WeakMap<HalfMessage, Check>();
  #cancel: Cancel | null = null;
  /** When the timer rings. */
  #at = NEVER;
  #isRunning = false;
  #isWanted = false;
  #isStopped = false;

  constructor(services: TransactionCheckServices) {
    this.#services = services;
    services.halves.onOpened = (half) => this.#ring(nextRound(half, services.settings));
  }

  /** Other times hold from now on. */
  changed(): void {
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** There is somebody to ask. */
  joined(group: string): void {
    for (const half of this.#services.halves.all()) if (half.group === group) Object.assign(this.#checkOf(half), { isUnheard: false, rest: 0 });
    this.#wake();
  }

  /** What it has been asked and has not answered goes to another. */
  gone(session: Session): void {
    for (const half of this.#services.halves.all()) {
      const check = this.#checkOf(half);
      check.vain.delete(session);
      if (check.asked === session) Object.assign(check, { asked: null, isUrgent: half.checkTimes < this.#services.settings.transactionCheckMax });
    }
    this.#wake();
  }

  /** A member has answered. If it does not know, the next round asks again. */
  answered(transactionId: string, group: string | null): void {
    const half = this.#services.halves.find(transactionId);
    if (half?.group === group) this.#checkOf(half).asked = null;
  }

  /** When a member is asked next, or the transaction is given up because nobody is there. */
  next(half: HalfMessage): number {
    return this.#due(half, this.#checkOf(half));
  }

  #checkOf(half: HalfMessage): Check {
    const known = this.#checks.get(half);
    if (known !== undefined) return known;
    const check = { vain: new Set<Session>(), isTold: false, asked: null, isUnheard: false, isUrgent: false, rest: 0 };
    this.#checks.set(half, check);
    return check;
  }

  #ring(at: number): void {
    if (at >= this.#at || this.#isStopped) return;
    const { clock, timers } = this.#services;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = timers.after(Math.min(LONGEST_WAIT, Math.max(0, at - clock.now())), () => this.#wake());
  }

  #wake(): void {
    this.#isWanted = true;
    if (!this.#isRunning && !this.#isStopped) void this.#run();
  }

  /** Nothing is open, or nobody is there to be asked: no timer stands before the time at which it is given up. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isWanted && !this.#isStopped) {
      this.#isWanted = false;
      await this.#round();
    }
    this.#isRunning = false;
    this.#cancel?.();
    this.#at = NEVER;
    let next = NEVER;
    for (const half of this.#services.halves.all()) next = Math.min(next, this.#due(half, this.#checkOf(half)));
    this.#ring(next);
  }

  /** What is due now, the oldest first. Those that are given up share their commits. */
  async #round(): Promise<void> {
    const { halves, clock, settings } = this.#services;
    const givenUp: Promise<void>[] = [];
    for (const half of halves.all()) {
      const check = this.#checkOf(half);
      const now = clock.now();
      if (this.#isStopped || this.#due(half, check) > now) continue;
      const action = half.ending === null ? judgeHalf(half, now, settings) : "wait";
      if (action === "check") await this.#tell(half, check);
      else check.rest = now + REFUSED_DELAY;
      if (action === "discard") givenUp.push(this.#services.transactions.giveUp(half).catch(() => {}));
    }
    await Promise.all(givenUp);
  }

  #due(half: HalfMessage, check: Check): number {
    const { settings } = this.#services;
    const givenUp = half.born + settings.fileReservedTime + 1;
    const round = check.isTold || check.isUnheard ? givenUp : check.isUrgent ? 0 : nextRound(half, settings);
    return Math.max(check.rest, Math.min(round, givenUp));
  }

  async #tell(half: HalfMessage, check: Check): Promise<void> {
    const { halves, transactions, producers, inboxes, mover, clock, settings } = this.#services;
    const { group, transactionId } = half;
    const source = await mover.read(finishOfHalf(half.queueOffset)).catch(asMQError);
    if (halves.find(transactionId) !== half || this.#isStopped) return;
    check.rest = clock.now() + REFUSED_DELAY;
    // Its topic was deleted, or it is damaged: there is nothing to ask about.
    if (source instanceof MQError) return source.code === "NO_MESSAGE" ? transactions.giveUp(half).catch(() => {}) : undefined;
    const members = producers.of(group);
    const untried = members.filter((session) => !check.vain.has(session));
    for (const session of untried) {
      if (!inboxes.tell(session, { type: "check", group, record: source.bytes }, (end) => this.#heard(half, check, session, end))) continue;
      producers.asked(session, group);
      Object.assign(check, { isTold: true, rest: 0 });
      return;
    }
    check.isUnheard = members.length === 0;
    // None of them listens, though they are there: a frozen tab may wake up.
    if (untried.length === 0) check.rest = clock.now() + settings.transactionCheckInterval;
    check.vain.clear();
  }

  #heard(half: HalfMessage, check: Check, session: Session, end: NoticeEnd): void {
    const { halves, clock, settings } = this.#services;
    check.isTold = false;
    if (halves.find(half.transactionId) !== half) return;
    if (end !== "delivered") {
      if (end !== "gone") check.vain.add(session);
      return this.#wake();
    }
    check.vain.clear();
    Object.assign(check, { asked: session, isUrgent: false });
    halves.checked(half, clock.now());
    this.#ring(nextRound(half, settings));
  }
}
