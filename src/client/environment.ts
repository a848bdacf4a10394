import type { MQError } from "../model/errors.ts";
import type { Clock } from "../platform/clock.ts";
import type { Locks } from "../platform/locks.ts";
import type { Random } from "../platform/random.ts";
import type { Timers } from "../platform/timers.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import type { Network } from "./http-outbox/network.ts";

/** Why a connection has the host that it has. */
export type HostCode = "SHARED_WORKER" | "ASKED_FOR" | "NO_SHARED_WORKER" | "SHARED_WORKER_FAILED" | "INDEXEDDB_UNAVAILABLE" | "SERVICE_WORKER" | "ANOTHER_SERVES";

export interface HostChoice {
  code: HostCode;
  /** For people: whole sentences. */
  reason: string;
}

/** Everything from outside that a client needs; a browser's is in browser-environment.ts. */
export interface ClientEnvironment {
  locks: Locks;
  clock: Clock;
  timers: Timers;
  random: Random;
  /**
   * Opens a new port to the namespace's worker of this generation, starting it if need be. Throws where that cannot
   * work. 0 is the first; a worker that hangs is followed by one of the next.
   */
  openBroker(generation: number): BrokerPort | Promise<BrokerPort>;
  /**
   * Opens a port to whoever serves the namespace, of whatever kind and build it is, when that lets us in. Without it a
   * client whose own worker has to wait for another waits too. `except`: the worker of this name does not count.
   */
  openDoor?(except: string): BrokerPort | Promise<BrokerPort>;
  /** What was chosen to run the broker, and why. */
  choice?(): HostChoice;
  /** The connection has ended: nothing is kept for it. Its `close` waits for what this returns. */
  release?(): void | Promise<void>;
  page: PageLife;
  /** A note that outlives the broker's database; null = there is no place for one. */
  memo: Memo | null;
  /** Removes all notes about the namespace's store. */
  forgetNotes?: () => void;
  /** More such notes, by name, for what clients keep of their own. */
  memoOf?: (name: string) => Memo;
  /** A way to wake the other tabs of the origin that have opened one of this name. Without it they notice by themselves, later. */
  openWakeChannel?: (name: string, onWake: () => void) => WakeChannel;
  /** The generation that serves, so that all tabs ask the same worker. Without it each finds out by itself. */
  generation?: SharedMemo;
  /** What an HTTP outbox sends by. Without it: the page's own. */
  network?: Network;
}

/** One piece of text, shared by all tabs of the origin. Neither method throws. */
export interface Memo {
  read(): string | null;
  write(text: string): void;
}

export interface WakeChannel {
  post(): void;
  close(): void;
}

export interface SharedMemo extends Memo {
  /** Hears of what other tabs write. Returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface BrokerPort {
  port: PortLike;
  /** It leads to a worker that hangs on this tab. */
  isHere?: boolean;
  /** The worker cannot be started: definite, not a matter of waiting. */
  onError: (error: MQError) => void;
  /** Called when it serves. */
  onServing?: () => void;
}

/** A page may be put aside (back-forward cache) and come back. */
interface PageLife {
  /** Both return how to stop listening. */
  onHide(listener: () => void): () => void;
  onShow(listener: () => void): () => void;
}
