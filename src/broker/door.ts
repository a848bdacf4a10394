import { MAX_SESSIONS } from "../model/limits.ts";
import type { OpenChannel } from "../platform/broadcast-port.ts";
import type { Locks } from "../platform/locks.ts";
import { randomName, type Random } from "../platform/random.ts";
import type { Timers } from "../platform/timers.ts";
import { doorName, type DoorWord, pipeName, readWord, type Version, visitorLock } from "../protocol/door.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";

/** From a client's lock being free to its end, ms: a lock is faster than a message, and its last words may still be on their way. */
export const LAST_WORDS = 50;

interface Doorway {
  namespace: string;
  storage: string;
  /** The name of this worker, which no other has. */
  worker: string;
  locks: Locks;
  timers: Timers;
  random: Random;
  openChannel: OpenChannel;
}

export interface Doorkeeper {
  /** A client has come in. */
  onGuest(port: PortLike): void;
  /** Somebody stands in line for our place. */
  onStander(version: Version): void;
}

/**
 * What a host opens when it has the lease: clients of its namespace that have no port to its worker come in here, each
 * over a pipe of its own. Who has come in stays when the door is shut, until it goes by itself.
 */
export class Door {
  readonly #doorway: Doorway;
  readonly #keeper: Doorkeeper;
  readonly #channel: PortLike;
  /** Of the visitors that are there, by their locks: who knocks twice is told the same pipe. */
  readonly #pipes = new Map<string, string>();

  constructor(doorway: Doorway, keeper: Doorkeeper) {
    this.#doorway = doorway;
    this.#keeper = keeper;
    const { namespace, storage, openChannel } = doorway;
    this.#channel = openChannel(doorName(namespace, storage));
    this.#channel.addEventListener("message", ({ data }) => this.#hear(readWord(data)));
    this.#say({ type: "open" });
  }

  close(): void {
    this.#channel.close();
  }

  #hear(word: DoorWord | null): void {
    if (word?.type === "knock") this.#letIn(word.from);
    else if (word?.type === "stand") this.#keeper.onStander(word);
  }

  #letIn(from: string): void {
    const { namespace, worker, locks, timers, random, openChannel } = this.#doorway;
    // Locks are named by us alone: a visitor must not make the broker wait for any other.
    if (!from.startsWith(visitorLock(namespace, ""))) return;
    let pipe = this.#pipes.get(from);
    if (pipe === undefined) {
      // It knocks again at the next host, or is told FLOW_CONTROL by this one when others have gone.
      if (this.#pipes.size >= MAX_SESSIONS) return;
      pipe = pipeName(namespace, randomName(random));
      this.#pipes.set(from, pipe);
      const port = openChannel(pipe);
      this.#keeper.onGuest(port);
      void locks.acquire(from).then((lock) => {
        lock?.release();
        timers.after(LAST_WORDS, () => {
          this.#pipes.delete(from);
          port.close();
        });
      });
    }
    this.#say({ type: "welcome", to: from, pipe, worker });
  }

  #say(word: DoorWord): void {
    this.#channel.postMessage(word, []);
  }
}

/** Tells whoever serves that a worker of this version stands in line. Returns how to stop. */
export function standInLine({ namespace, storage, openChannel }: Pick<Doorway, "namespace" | "storage" | "openChannel">, version: Version): () => void {
  const channel = openChannel(doorName(namespace, storage));
  const say = (): void => channel.postMessage({ type: "stand", ...version } satisfies DoorWord, []);
  channel.addEventListener("message", ({ data }) => {
    if (readWord(data)?.type === "open") say();
  });
  say();
  return () => channel.close();
}
