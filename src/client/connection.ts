import { asMQError, type ErrorCode, isDestroyed, isStoreRefused, MQError, namespaceDestroyed } from "../model/errors.ts";
import { CALL_TIMEOUT, CONNECT_TIMEOUT, SUCCESSION_TIMEOUT } from "../model/limits.ts";
import type { Deferred } from "../platform/deferred.ts";
import { deferred } from "../platform/deferred.ts";
import { Events } from "../platform/events.ts";
import { randomName } from "../platform/random.ts";
import { sleep } from "../platform/timers.ts";
import type { BrokerApi, DamagedRange, RecoveryReport } from "../protocol/api.ts";
import { clientLock } from "../protocol/lock-names.ts";
import { BrokerFinder, type ConnectionOptions, type Life, type Serving } from "./broker-finder.ts";
import type { BrokerMethod, BrokerValue } from "./channel.ts";
import { BrokerGone } from "./channel.ts";
import { Deadline } from "./deadline.ts";
import { Heartbeat } from "./heartbeat.ts";
import { LifeSign } from "./life-sign.ts";
import { Witness } from "./witness.ts";
import type { ClientEnvironment } from "./environment.ts";

/** What `mq.on` reports. */
export interface ClientEvents {
  /** There is a broker (again). */
  connected: { epoch: number; recovery: RecoveryReport };
  /** The broker is gone; TabMQ looks for the next one by itself. */
  disconnected: { reason: string };
  /** It is over, for good, and nothing comes after this: `close()` was called, or somebody has destroyed the namespace. `error`: what calls are refused with from now on. Who listens later is told too. */
  closed: { error: MQError };
  /** The running broker has other settings than this client asked for. */
  configIgnored: { name: string; asked: unknown; running: unknown };
  /** The browser has lost messages that were durable, its newest or all; offsets go on above those that were used. */
  loss: { loss: "tail" | "total"; lastKnownPosition: number };
  /** Stored bytes are not what was written: these messages are skipped. */
  damaged: { ranges: DamagedRange[] };
  /**
   * The commit of messages failed that had been answered before it: SEND_OK with `waitStoreMsgOK: false`, or
   * FLUSH_DISK_TIMEOUT. `error.outcome`: `rejected` = certainly not stored, `unknown` = the broker is gone, perhaps before it.
   */
  flushFailed: { msgIds: string[]; error: MQError };
}

export const CLIENT_EVENTS = ["connected", "disconnected", "closed", "configIgnored", "loss", "damaged", "flushFailed"] as const satisfies readonly (keyof ClientEvents)[];

/** A broker that has served this long, ms, was a good one. */
const PROVEN = 60_000;
/** Codes after which `connect` does not try again. */
const DEFINITE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["UNSUPPORTED_ENVIRONMENT", "UPGRADE_REQUIRED", "INVALID_PARAMETER", "CANNOT_DECRYPT"]);
/** A large database may take its time to go, ms. */
const DESTROY_TIMEOUT = 30_000;
const RETRY_DELAY_MIN = 50;
const RETRY_DELAY_MAX = 2000;

/** Keeps a session with whatever broker serves the namespace, through crashes, hand-overs and the back-forward cache. */
export class Connection {
  readonly events = new Events<ClientEvents>();
  readonly environment: ClientEnvironment;
  readonly options: ConnectionOptions;
  /** Called when a broker serves this session; when it no longer does; and when none ever will, because the namespace was destroyed. */
  readonly lifecycle = new Events<{ open: null; lost: null; hide: null; ended: MQError }>();
  readonly witness: Witness;
  /** Why it is over, when `closed` has been told; null = it has not. */
  told: MQError | null = null;
  /** When it last lost a broker, on the monotonic clock. */
  lostAt = Number.NEGATIVE_INFINITY;
  #life: Life | null = null;
  #serving: Serving | null = null;
  /** Why the next broker cannot be had; null = there is one, or nothing is known to be wrong. */
  #trouble: MQError | null = null;
  #opened: Deferred<Life> = deferred();
  readonly #lifeSign: LifeSign;
  readonly #finder: BrokerFinder;
  #closed: MQError | null = null;
  readonly #ended = deferred<void>();
  #released: void | Promise<void> = undefined;
  #shown: Deferred<void> | null = null;
  /** The broker after the one that does not answer. */
  #successor: Life | null = null;
  readonly #stopListening: (() => void)[] = [];

  /** Resolves when a broker serves; rejects when none does in time. */
  static async open(environment: ClientEnvironment, options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(environment, options);
    try {
      await connection.#connectFirst();
    } catch (error) {
      connection.#end(asMQError(error));
      throw error;
    }
    return connection;
  }

  private constructor(environment: ClientEnvironment, options: ConnectionOptions) {
    this.environment = environment;
    this.options = options;
    this.witness = new Witness(environment);
    this.#lifeSign = new LifeSign(environment.locks, clientLock(options.namespace, randomName(environment.random)));
    this.#finder = new BrokerFinder(environment, options, this.witness, this.#lifeSign);
    this.#opened.promise.catch(() => {});
  }

  /** What the broker said when it began to serve. */
  get serving(): Serving {
    if (this.#serving === null) throw new MQError("CLOSED", "There is no connection.");
    return this.#serving;
  }

  /** Resolves at the connection's end. */
  get closed(): Promise<void> {
    return this.#ended.promise;
  }

  /** Where the present broker was found; null = there is none. */
  get at(): Life["at"] | null {
    return this.#life?.at ?? null;
  }

  get isOpen(): boolean {
    return this.#life !== null;
  }

  /** A call that may be repeated: it finds the next broker when the present one dies, within its timeout. */
  async call<M extends BrokerMethod>(method: M, args: Parameters<BrokerApi[M]>, timeout = CALL_TIMEOUT): Promise<BrokerValue<M>> {
    const deadline = new Deadline(this.environment.timers, timeout, `The call "${method}"`);
    try {
      for (;;) {
        const life = await deadline.race(this.#current());
        try {
          return await deadline.race(life.channel.call(method, args));
        } catch (error) {
          if (!(error instanceof BrokerGone)) throw error;
          this.#lose(life, error.message);
        }
      }
    } catch (error) {
      throw this.explained(asMQError(error));
    } finally {
      deadline.clear();
    }
  }

  /** What has found no broker in time says why there is none. */
  explained(error: MQError): MQError {
    const cause = this.#trouble;
    if (error.code !== "DEADLINE_EXCEEDED" || cause === null) return error;
    return new MQError(error.code, `${error.message} There is no broker at the moment: ${cause.message}`, { outcome: error.outcome, cause });
  }

  /** A call to the present broker only; BrokerGone when it dies or does not know us. */
  async callOnce<M extends BrokerMethod>(
    method: M,
    args: Parameters<BrokerApi[M]>,
    { timeout, transfers = [] }: { timeout?: number; transfers?: Transferable[] } = {},
  ): Promise<BrokerValue<M>> {
    const life = this.#life;
    if (life === null) throw this.#closed ?? new BrokerGone("There is no broker at the moment.");
    const deadline = timeout === undefined ? null : new Deadline(this.environment.timers, timeout, `The call "${method}"`);
    try {
      const call = life.channel.call(method, args, transfers);
      return await (deadline?.race(call) ?? call);
    } catch (error) {
      if (error instanceof BrokerGone) this.#lose(life, error.message);
      throw error;
    } finally {
      deadline?.clear();
    }
  }

  /** Deletes the namespace with everything in it. Whoever is connected to it hears so, and this connection ends too. */
  async destroy(): Promise<void> {
    // Nobody is to remember afterwards that there was something.
    this.environment.forgetNotes?.();
    try {
      await this.witness.quietly(() => this.call("destroy", [this.options.namespace], DESTROY_TIMEOUT));
    } catch (error) {
      // The news may come before the answer.
      if (!isDestroyed(error)) throw error;
    }
    this.#destroyed(namespaceDestroyed(this.options.namespace));
  }

  /** The present broker has shown that it is no good: look for the next. */
  abandonBroker(reason: string): void {
    if (this.#life !== null) this.#lose(this.#life, reason);
  }

  async close(): Promise<void> {
    if (this.#closed !== null) return;
    if (this.#life !== null) await this.callOnce("leave", [], { timeout: 1000 }).catch(() => {});
    this.#end(new MQError("CLOSED", "The connection is closed."));
    await this.#released;
  }

  #current(): Promise<Life> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    return this.#life === null ? this.#opened.promise : Promise.resolve(this.#life);
  }

  async #connectFirst(): Promise<void> {
    const { signal } = this.options;
    const { page, timers } = this.environment;
    if (signal?.aborted) throw aborted(signal);
    let reason: unknown = null;
    const onFailure = (error: unknown): void => void (reason = error);
    const done = deferred<void>();
    const onAbort = (): void => done.reject(aborted(signal!));
    signal?.addEventListener("abort", onAbort);
    let cancel = timers.after(CONNECT_TIMEOUT, () => {
      // The worker hangs, and another is about to take its place.
      if (this.#finder.isSeekingSuccessor) cancel = timers.after(SUCCESSION_TIMEOUT, expire);
      else expire();
    });
    const expire = (): void => {
      done.reject(reason instanceof MQError && reason.code !== "DEADLINE_EXCEEDED" ? reason : notServed(this.options.namespace, this.#finder.lastStatus));
    };
    this.#opened.promise.then(() => done.resolve(), done.reject);
    this.#stopListening.push(page.onHide(() => this.#hide()), page.onShow(() => this.#show()));
    const { generation } = this.environment;
    if (generation !== undefined) this.#stopListening.push(generation.onChange(() => this.#followOthers()));
    void this.#keepConnected((error) => {
      onFailure(error);
      // A worker that cannot start, a broker that speaks another language, a key that does not fit, or a browser that
      // allows no database, will not change its mind.
      if (DEFINITE.has(error.code) || isStoreRefused(error)) done.reject(error);
    });
    try {
      await done.promise;
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** One broker after the other until the end. */
  async #keepConnected(onFailure: (error: MQError) => void): Promise<void> {
    const { timers } = this.environment;
    let delay = RETRY_DELAY_MIN;
    while (this.#closed === null) {
      try {
        await this.#shown?.promise;
        const life = this.#successor ?? (await this.#finder.find());
        this.#successor = null;
        delay = RETRY_DELAY_MIN;
        await this.#live(life);
      } catch (error) {
        if (isDestroyed(error) && this.witness.hasSeen) return this.#destroyed(error);
        // Only just here, with what others have noted: there is nothing to miss, and the next hello says so.
        if (isDestroyed(error)) this.witness.forget();
        const failure = asMQError(error);
        this.#trouble = failure instanceof BrokerGone ? this.#trouble : failure;
        onFailure(failure);
        if (failure.code === "UPGRADE_REQUIRED") this.#refuseWaiting(failure);
        await sleep(timers, delay);
        delay = Math.min(delay * 2, RETRY_DELAY_MAX);
      }
    }
  }

  /** From the first call to the end of one broker. */
  async #live(life: Life): Promise<void> {
    const { serving, channel, watch } = life;
    if (this.#closed !== null) return channel.fail(this.#closed);
    // The broker holds this lock as long as it lives. Nobody else tells us that it has died. Shared: all tabs hear of it
    // at once; in a line for an exclusive lock, one frozen tab would keep the news from everybody behind it.
    void this.environment.locks.acquire(serving.brokerLock, { signal: watch.signal, shared: true }).then((lock) => {
      lock?.release();
      if (lock !== null) life.ended.resolve("the broker died");
    });
    let end: MQError | null = null;
    void channel.ended.then((error) => {
      end = error;
      life.ended.resolve(error.message);
    });
    const { timers, clock } = this.environment;
    const began = clock.monotonic();
    const heartbeat = new Heartbeat(timers, channel, () => this.#replace(life));
    this.#life = life;
    this.#trouble = null;
    this.#serving = serving;
    this.#opened.resolve(life);
    this.lifecycle.emit("open", null);
    // In a task of its own, so that whoever has awaited `connect` can hear of the first broker too.
    let announce = (): void => {
      announce = () => {};
      this.#announce(serving);
    };
    timers.after(0, () => announce());
    const reason = await life.ended.promise;
    // That task may come late; the end is told after the beginning all the same.
    announce();
    heartbeat.stop();
    watch.abort();
    if (clock.monotonic() - began > PROVEN) this.#finder.proven();
    this.#life = null;
    this.lostAt = clock.monotonic();
    this.#opened = deferred();
    this.#opened.promise.catch(() => {});
    channel.fail(this.#closed ?? new BrokerGone());
    this.lifecycle.emit("lost", null);
    this.events.emit("disconnected", { reason });
    if (isDestroyed(end)) throw end;
  }

  /** The broker is silent. As long as nobody has taken its place it may still answer, and then everything stays as it is. */
  async #replace(life: Life): Promise<void> {
    const { answers } = life.channel;
    const successor = await this.#finder.seekSuccessor(() => life !== this.#life || life.channel.answers !== answers);
    if (successor === null) return;
    if (life !== this.#life) return successor.channel.fail(new BrokerGone());
    this.#successor = successor;
    this.#lose(life, "the broker hung");
  }

  /** A later version has taken over, and does not speak our language any more: whoever waits for a broker shall know. */
  #refuseWaiting(reason: MQError): void {
    this.#opened.reject(reason);
    this.#opened = deferred();
    this.#opened.promise.catch(() => {});
  }

  #followOthers(): void {
    if (this.#finder.hasMoved() && this.#life !== null) this.#lose(this.#life, "the broker hung");
  }

  #announce(serving: Serving): void {
    this.events.emit("connected", { epoch: serving.epoch, recovery: serving.recovery });
    const { loss, lastKnownPosition } = serving.recovery;
    if (loss !== "none") this.events.emit("loss", { loss, lastKnownPosition: lastKnownPosition ?? 0 });
    if (serving.recovery.damaged.length > 0) this.events.emit("damaged", { ranges: serving.recovery.damaged });
    for (const ignored of serving.ignored) this.events.emit("configIgnored", ignored);
  }

  #lose(life: Life, reason: string): void {
    life.ended.resolve(reason);
  }

  /** The page is put aside or closed: say goodbye, and neither hold nor await a lock, because such a page is not kept. */
  #hide(): void {
    const life = this.#life;
    if (life === null || this.#shown !== null) return;
    this.#shown = deferred();
    this.lifecycle.emit("hide", null);
    this.witness.hide();
    life.watch.abort();
    life.channel.call("leave", []).catch(() => {});
    // Closed before the answers come: a worker's message to a page in the back-forward cache throws it out of there.
    life.channel.fail(new BrokerGone("The page was hidden."));
    this.#lose(life, "the page was hidden");
    this.#lifeSign.hide();
  }

  #show(): void {
    const shown = this.#shown;
    if (shown === null) return;
    this.#shown = null;
    this.witness.show();
    if (this.#life !== null) this.#lose(this.#life, "the page was hidden");
    shown.resolve();
  }

  /** What this tab has seen of it, and what it has noted, was of a store that there is no more. */
  #destroyed(error: MQError): void {
    if (this.#closed !== null) return;
    this.witness.forget();
    this.environment.forgetNotes?.();
    this.#end(error);
    this.lifecycle.emit("ended", error);
  }

  #end(error: MQError): void {
    this.#closed ??= error;
    this.#ended.resolve();
    this.#finder.close(this.#closed);
    this.witness.note();
    for (const stop of this.#stopListening.splice(0)) stop();
    this.#opened.reject(error);
    this.#life?.ended.resolve(error.message);
    this.#shown?.resolve();
    this.#lifeSign.end();
    this.#released = this.environment.release?.();
    // In a task of its own: after the end of the last broker.
    this.environment.timers.after(0, () => {
      this.told = error;
      this.events.emit("closed", { error });
    });
  }
}

function aborted(signal: AbortSignal): MQError {
  return new MQError("CLOSED", "connect() was aborted.", { cause: signal.reason });
}

function notServed(namespace: string, status: string | null): MQError {
  const why =
    status === "waiting"
      ? "another TabMQ worker holds its writer lock: probably another version of this app is open in another tab; close it or reload it"
      : status === "recovering"
        ? "the broker is still recovering its log"
        : "its worker did not answer";
  return new MQError("DEADLINE_EXCEEDED", `No broker served the namespace "${namespace}" within ${CONNECT_TIMEOUT} ms: ${why}.`);
}
