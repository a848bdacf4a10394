import { type ErrorCode, MQError } from "../model/errors.ts";
import { SUCCESSION_TIMEOUT } from "../model/limits.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import type { HelloReply, StorageKind } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { LIBRARY_VERSION, PROTOCOL_RANGE } from "../protocol/api.ts";
import type { EncryptionKey } from "../protocol/encryption-key.ts";
import { writerLock } from "../protocol/lock-names.ts";
import { BrokerGone, Channel } from "./channel.ts";
import { Deadline } from "./deadline.ts";
import type { BrokerPort, ClientEnvironment } from "./environment.ts";
import type { LifeSign } from "./life-sign.ts";
import type { Telemetry } from "./telemetry.ts";
import type { Witness } from "./witness.ts";

export interface ConnectionOptions {
  namespace: string;
  clientId: string;
  /** The application has given the id, and may come back under it. */
  isNamed?: boolean;
  storage: StorageKind;
  settings: Partial<BrokerSettings>;
  encryptionKey?: EncryptionKey;
  /** None = nobody wants spans. */
  telemetry?: Telemetry;
  signal?: AbortSignal;
}

export type Serving = Extract<HelloReply, { status: "serving" }>;

/** One broker's life as this client sees it. */
export interface Life {
  channel: Channel;
  serving: Serving;
  ended: Deferred<string>;
  /** Ends the waiting for the broker's lock. */
  watch: AbortController;
  /** Where the broker was found: a worker that hangs on this tab; the worker that this tab asks, which is shared; or another, which has let us in. */
  at: "here" | "worker" | "door";
}

interface Greeting {
  timeout: number;
  /** Told of every answer. */
  onAnswer?: () => void;
  /** Whether to stop asking a worker that only waits in line. */
  isOver?: () => boolean;
  /** Whoever serves instead is good as well. */
  mayVisit?: boolean;
}

type Asking = Greeting & { signal: AbortSignal; onWaiting?: (worker: string) => void };

const HELLO_TIMEOUT = 3000;
const SECOND_HELLO_TIMEOUT = 6000;
/** What whoever serves may refuse us for, so that waiting behind it helps nothing. */
const DEFINITE_AT_DOOR: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["UPGRADE_REQUIRED", "CANNOT_DECRYPT", "INVALID_PARAMETER", "CLOSED"]);
/** Whatever hangs each new broker must not fill the machine with hung workers. */
const MAX_SUCCESSIONS = 3;

/**
 * Finds the worker that serves. There is one of each *generation*; the first is enough until it hangs. A hung worker
 * cannot be ended, and nothing reaches it: it is left alone, and all tabs go to one of the next generation.
 */
export class BrokerFinder {
  /** What a broker that does not serve yet said last. */
  lastStatus: "waiting" | "recovering" | null = null;
  isSeekingSuccessor = false;
  readonly #environment: ClientEnvironment;
  readonly #options: ConnectionOptions;
  readonly #witness: Witness;
  readonly #lifeSign: LifeSign;
  #generation = 0;
  /** Why nobody is to be asked any more. */
  #closed: MQError | null = null;
  /** Changes of the generation since a broker has proven good. */
  #successions = 0;
  /** Whom we wait for to answer or to serve, and its generation. */
  readonly #asked = new Map<Channel, number>();

  constructor(environment: ClientEnvironment, options: ConnectionOptions, witness: Witness, lifeSign: LifeSign) {
    this.#environment = environment;
    this.#options = options;
    this.#witness = witness;
    this.#lifeSign = lifeSign;
    this.#generation = this.#noted();
  }

  /** Nobody is to be asked any more. Who is asked still might start a worker for us, or take us for a client. */
  close(error: MQError): void {
    this.#closed = error;
    for (const channel of this.#asked.keys()) dismiss(channel, error);
  }

  /** A broker has served for long enough: whatever hung the one before does not hang this. */
  proven(): void {
    this.#successions = 0;
  }

  /** Takes over what another tab has found. True: a later generation serves. */
  hasMoved(): boolean {
    const noted = this.#noted();
    if (noted <= this.#generation) return false;
    this.#moveTo(noted);
    return true;
  }

  async find(): Promise<Life> {
    this.hasMoved();
    const generation = this.#generation;
    try {
      return await this.#sayHello(generation, { timeout: HELLO_TIMEOUT, mayVisit: true });
    } catch (error) {
      if (!isSilence(error)) throw error;
    }
    // Hung, or slow: both are asked, and whoever is slow and answers now is good.
    let hasAnswered = false;
    const again = this.#insist(generation, { onAnswer: () => (hasAnswered = true), mayVisit: true });
    const seeking = this.seekSuccessor(() => hasAnswered);
    const found = await Promise.race([again.catch(() => seeking), seeking.then((life) => life ?? again)]);
    for (const other of [again, seeking]) {
      other.then((life) => life === null || life === found || dismiss(life.channel), () => {});
    }
    return found ?? again;
  }

  /**
   * The worker does not answer us. One of the next generation waits in line behind it and takes its place when it gives
   * no sign of life to it either (broker/lease.ts): that it serves is the proof. Null when it does not come to that.
   */
  async seekSuccessor(isOver: () => boolean): Promise<Life | null> {
    const { timers, generation } = this.#environment;
    if (this.#successions >= MAX_SUCCESSIONS) return null;
    // Nobody is the host, so nobody hangs: the worker's script is still on its way.
    if (!(await this.#isServed())) return null;
    const next = this.#generation + 1;
    let isLate = false;
    const cancel = timers.after(SUCCESSION_TIMEOUT, () => (isLate = true));
    this.isSeekingSuccessor = true;
    try {
      const life = await this.#insist(next, { isOver: () => isLate || isOver() });
      this.#moveTo(next);
      // Others may be further by now: who comes after them must not be sent back.
      if (this.#noted() < next) generation?.write(String(next));
      return life;
    } catch {
      return null;
    } finally {
      this.isSeekingSuccessor = false;
      cancel();
    }
  }

  /** Whether there is a host, hung or not. */
  async #isServed(): Promise<boolean> {
    const free = await this.#environment.locks.acquire(writerLock(this.#options.namespace), { ifFree: true });
    free?.release();
    return free === null;
  }

  /** When no answer comes, once more through another port: the worker behind the first may have died, and nothing tells. */
  async #insist(generation: number, greeting: Omit<Greeting, "timeout">): Promise<Life> {
    try {
      return await this.#sayHello(generation, { ...greeting, timeout: SECOND_HELLO_TIMEOUT });
    } catch (error) {
      if (!isSilence(error)) throw error;
      return this.#sayHello(generation, { ...greeting, timeout: SUCCESSION_TIMEOUT - SECOND_HELLO_TIMEOUT });
    }
  }

  /**
   * Asks this generation's worker. As long as that only waits in line, or if it cannot run, whoever serves instead is asked
   * at the door: a worker of another kind or build may be.
   */
  async #sayHello(generation: number, greeting: Greeting): Promise<Life> {
    const lockName = await this.#lifeSign.show(generation);
    const { openDoor } = this.#environment;
    const finding = new AbortController();
    const visited = deferred<Life>();
    visited.promise.catch(() => {});
    let isVisiting = false;
    const visit = async (own: string): Promise<void> => {
      if (isVisiting || greeting.mayVisit !== true || openDoor === undefined) return;
      isVisiting = true;
      try {
        visited.resolve(await this.#ask(await openDoor(own), "door", generation, lockName, { timeout: greeting.timeout, signal: finding.signal }));
      } catch (error) {
        // Nobody is there, or it has gone: when our worker says again that it waits, somebody may be.
        isVisiting = false;
        if (error instanceof MQError && DEFINITE_AT_DOOR.has(error.code)) visited.reject(error);
      }
    };
    const askOwn = async (): Promise<Life> => {
      try {
        return await this.#ask(await this.#environment.openBroker(generation), "worker", generation, lockName, { ...greeting, signal: finding.signal, onWaiting: (worker) => void visit(worker) });
      } catch (error) {
        // We can run no worker; others can, it seems.
        if (error instanceof MQError && error.code === "UNSUPPORTED_ENVIRONMENT" && (await this.#isServed())) await visit("");
        throw error;
      }
    };
    const own = askOwn();
    try {
      const found = await Promise.race([own, visited.promise]);
      for (const other of [own, visited.promise]) other.then((life) => life === found || dismiss(life.channel), () => {});
      return found;
    } finally {
      finding.abort();
    }
  }

  /** Asks until answered: a hello is idempotent, and a broker that waits or recovers says so. */
  async #ask(opened: BrokerPort, way: "worker" | "door", generation: number, lockName: string, { timeout, onAnswer, onWaiting, isOver = () => false, signal }: Asking): Promise<Life> {
    const { namespace, clientId, storage, settings, encryptionKey } = this.#options;
    const channel = new Channel(opened.port, (epoch, durable) => this.#witness.saw(epoch, durable));
    opened.onError = (error) => channel.fail(error);
    this.#asked.set(channel, generation);
    const request = {
      namespace, clientId, lockName, protocol: PROTOCOL_RANGE, lib: LIBRARY_VERSION, storage, settings, witness: this.#witness.recall(),
      // Left out, because a broker of an older version knows no such key.
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
    };
    const giveUp = (): void => dismiss(channel);
    signal.addEventListener("abort", giveUp);
    try {
      for (;;) {
        if (this.#closed !== null) throw this.#closed;
        if (generation < this.#generation) throw laterServes();
        const deadline = new Deadline(this.#environment.timers, timeout, "The broker's greeting");
        const reply = await deadline.race(channel.call("hello", [request])).finally(() => deadline.clear());
        onAnswer?.();
        if (reply.status === "serving") {
          channel.epoch = reply.epoch;
          opened.onServing?.();
          return { channel, serving: reply, ended: deferred(), watch: new AbortController(), at: opened.isHere === true ? "here" : way };
        }
        this.lastStatus = reply.status;
        if (reply.status !== "waiting") continue;
        if (isOver()) throw new BrokerGone("This worker only waits.");
        onWaiting?.(reply.worker);
      }
    } catch (error) {
      channel.fail(error instanceof MQError ? error : new BrokerGone());
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
      this.#asked.delete(channel);
    }
  }

  #noted(): number {
    const noted = Number(this.#environment.generation?.read() ?? 0);
    return Number.isSafeInteger(noted) && noted > 0 ? noted : 0;
  }

  #moveTo(generation: number): void {
    this.#generation = generation;
    this.#successions++;
    this.#lifeSign.moveTo(generation);
    for (const [channel, asked] of this.#asked) if (asked < generation) channel.fail(laterServes());
  }
}

/** Another worker serves, or none is needed. This one must not take us for its client when its turn comes and it finds our question. */
function dismiss(channel: Channel, reason: MQError = new BrokerGone("Another worker serves.")): void {
  channel.call("leave", []).catch(() => {});
  channel.fail(reason);
}

function laterServes(): BrokerGone {
  return new BrokerGone("A later worker serves.");
}

function isSilence(error: unknown): boolean {
  return error instanceof MQError && error.code === "DEADLINE_EXCEEDED";
}
