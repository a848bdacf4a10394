import { asMQError, MQError } from "../model/errors.ts";
import { CALL_TIMEOUT } from "../model/limits.ts";
import { retryTopic } from "../model/names.ts";
import { Events } from "../platform/events.ts";
import { sleep } from "../platform/timers.ts";
import type { ConsumeFromWhere, Filter } from "../protocol/api.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { filtersOf, type SubscriptionMap, Subscriptions } from "./subscriptions.ts";

export interface PopMemberOptions {
  group: string;
  subscriptions: SubscriptionMap;
  consumeFromWhere: ConsumeFromWhere;
  maxReconsumeTimes: number;
  replaceSubscription: boolean;
}

export interface PopMemberEvents {
  error: MQError;
  subscribed: SubscriptionMap;
}

const ERROR_DELAY = 1000;
/** How often one who has a wish and does not receive asks whether all others have it now, ms. */
const WISH_DELAY = 1000;

/** A simple consumer's place in its group: joins, joins again when the broker changes, and knows what it is subscribed to. */
export class PopMember {
  readonly events = new Events<PopMemberEvents>();
  readonly #connection: Connection;
  readonly #options: PopMemberOptions;
  readonly #subscriptions: Subscriptions;
  readonly #unlisten: (() => void)[];
  /** Tells the broker, and the next one, who this is. */
  readonly #instance: number;
  /** Null while the broker does not know us. */
  #memberId: string | null = null;
  #joining: Promise<string> | null = null;
  /** Which of the group's terms it has had; null = it has not been in the group yet. */
  #termsVersion: number | null = null;
  /** Why the group goes on without this consumer. */
  #displaced: MQError | null = null;
  #isAskingAgain = false;
  #isStopped = false;

  constructor(connection: Connection, options: PopMemberOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#subscriptions = new Subscriptions(options.subscriptions);
    this.#instance = connection.environment.random.bytes(6).reduce((number, byte) => number * 256 + byte, 0);
    this.#unlisten = [
      connection.lifecycle.on("lost", () => this.forget()),
      // Whoever has claims must be seen by the next broker, or it takes them for a dead consumer's.
      connection.lifecycle.on("open", () => void this.#rejoin()),
      connection.lifecycle.on("hide", () => this.#sayGoodbye()),
      connection.lifecycle.on("ended", (error) => {
        this.displacedBy(error);
        this.events.emit("error", error);
      }),
    ];
  }

  get subscriptions(): SubscriptionMap {
    return this.#subscriptions.current;
  }

  /** What it would be subscribed to if all went by it. */
  get wishedSubscriptions(): SubscriptionMap {
    return this.#subscriptions.wished;
  }

  /** Its id at the present broker, or at the next one. */
  joined(): Promise<string> {
    if (this.#isStopped) return Promise.reject(new MQError("CLOSED", `The simple consumer of group "${this.#options.group}" is shut down.`));
    if (this.#memberId !== null) return Promise.resolve(this.#memberId);
    if (this.#displaced !== null) return Promise.reject(this.#displaced);
    this.#joining ??= this.#join().finally(() => (this.#joining = null));
    return this.#joining;
  }

  /** The broker knows us no longer. */
  forget(): void {
    this.#memberId = null;
    this.#subscriptions.forgetWishes();
  }

  /** Resolves when these are the group's subscriptions. Refused while others of the group have not asked for the same; the broker remembers it. */
  async subscribe(wished: SubscriptionMap): Promise<void> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const wish = this.#subscriptions.wish(wished);
    try {
      await this.#ask(wish, wished);
    } catch (error) {
      if (asMQError(error).code !== "SUBSCRIPTION_INCONSISTENT") this.#subscriptions.drop(wish);
      else if (!this.#isAskingAgain) void this.#askAgain();
      throw error;
    }
  }

  /** Told by the call or by a `receive`, whichever comes first. */
  granted({ wish, termsVersion }: { wish: number; termsVersion: number }): void {
    this.#termsVersion = Math.max(this.#termsVersion ?? 0, termsVersion);
    if (this.#subscriptions.granted(wish)) this.events.emit("subscribed", this.#subscriptions.current);
  }

  /** Others have the group now: it may finish what it has in hand at this broker, and goes to no other. */
  displacedBy(error: MQError): void {
    this.#displaced ??= error;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const unlisten of this.#unlisten) unlisten();
    const memberId = this.#memberId ?? (await this.#joining?.catch(() => null)) ?? null;
    this.#memberId = null;
    if (memberId !== null) await this.#connection.callOnce("quit", [{ memberId, commits: [] }], { timeout: 2000 }).catch(() => {});
  }

  async #join(): Promise<string> {
    const { group, consumeFromWhere, maxReconsumeTimes, replaceSubscription } = this.#options;
    const pops = { instance: this.#instance, maxReconsumeTimes };
    // Once: whoever comes back after a newer one has replaced it must not turn the group round again.
    const terms = this.#termsVersion === null ? { replaceSubscription } : { termsVersion: this.#termsVersion };
    const request = { group, subscriptions: this.#filters(this.#subscriptions.current), queues: [], consumeFromWhere, pops, ...terms };
    const { memberId, termsVersion } = await this.#connection.call("join", [request]);
    this.#connection.witness.joined(group);
    this.#termsVersion = Math.max(this.#termsVersion ?? 0, termsVersion);
    this.#memberId = memberId;
    return memberId;
  }

  async #rejoin(): Promise<void> {
    while (!this.#isStopped && this.#displaced === null && this.#memberId === null && this.#connection.isOpen) {
      try {
        await this.joined();
      } catch (error) {
        if (error instanceof BrokerGone || this.#isStopped) return;
        const failure = asMQError(error);
        // Asked again, the group would say the same; it is the application's to decide.
        if (failure.code === "SUBSCRIPTION_INCONSISTENT") this.displacedBy(failure);
        this.events.emit("error", failure);
        await sleep(this.#connection.environment.timers, ERROR_DELAY);
      }
    }
  }

  async #ask(wish: number, wished: SubscriptionMap): Promise<void> {
    const memberId = this.#memberId;
    if (memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const termsVersion = await this.#connection.callOnce("subscribe", [{ memberId, wish, subscriptions: this.#filters(wished) }], { timeout: CALL_TIMEOUT });
    this.granted({ wish, termsVersion });
  }

  /**
   * Who does not receive is not told that the others have consented; it must know before the next broker comes, where the
   * group has the newer terms only.
   */
  async #askAgain(): Promise<void> {
    this.#isAskingAgain = true;
    try {
      for (;;) {
        await sleep(this.#connection.environment.timers, WISH_DELAY);
        const newest = this.#subscriptions.newestWish;
        if (newest === null || this.#isStopped || this.#displaced !== null) return;
        await this.#ask(...newest).catch(() => {});
      }
    } finally {
      this.#isAskingAgain = false;
    }
  }

  /** Every consumer of a group takes what the group is to try again. */
  #filters(subscriptions: SubscriptionMap): [string, Filter][] {
    return [...filtersOf(subscriptions), [retryTopic(this.#options.group), "*"]];
  }

  /** The page goes away: what it has claimed shall not wait for its lock to be noticed. */
  #sayGoodbye(): void {
    if (this.#memberId === null) return;
    void this.#connection.callOnce("quit", [{ memberId: this.#memberId, commits: [] }]).catch(() => {});
  }
}
