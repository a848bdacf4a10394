import { asMQError, namespaceDestroyed } from "../model/errors.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import type { Locks } from "../platform/locks.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import { clientLock } from "../protocol/lock-names.ts";
import type { BlockStore } from "../storage/block-store.ts";
import { LAST_WORDS } from "./door.ts";
import type { Hello } from "./hello.ts";
import type { Session } from "./session.ts";

/** The names of all locks of the origin that are held at this moment. */
export type HeldLocks = () => Promise<string[]>;

/**
 * The end of a namespace: who wants it, who has to hear of it, and who belongs to what is no more. A client is known by its
 * lock, which it holds as long as its tab lives, with a session or between two brokers.
 */
export class Destruction {
  readonly #locks: Locks;
  readonly #timers: Timers;
  readonly #heldLocks: HeldLocks;
  /** How long it is waited for clients to hear of it, ms. */
  readonly #patience: number;
  /** Somebody wants it, and waits. */
  #asked: { done: Deferred<void>; askers: Set<string> } | null = null;
  /** Clients of the namespace as it was just before; resolved when one has heard of it and begins anew. */
  readonly #ended = new Map<string, Deferred<void>>();
  /** Nothing is left, and the next broker does not run yet: whoever remembers something remembers what was. */
  #isGone = false;

  constructor({ locks, timers, heldLocks, patience }: { locks: Locks; timers: Timers; heldLocks: HeldLocks; patience: number }) {
    this.#locks = locks;
    this.#timers = timers;
    this.#heldLocks = heldLocks;
    this.#patience = patience;
  }

  get isAsked(): boolean {
    return this.#asked !== null;
  }

  /** Resolves when nothing is left and everybody else has heard of it; rejects when it cannot be. The broker has to end for it. */
  ask(lockName: string): Promise<void> {
    const { done, askers } = (this.#asked ??= { done: deferred(), askers: new Set() });
    askers.add(lockName);
    return done.promise;
  }

  /** Throws for a client of the namespace as it was before; one that remembers nothing of that, any more, can begin anew. */
  refuse({ namespace, lockName, witness }: Hello): void {
    if (witness === null) this.admit(lockName);
    else if (this.#isGone || this.#ended.has(lockName)) throw namespaceDestroyed(namespace);
  }

  /** A client of the namespace as it is now, whatever it remembers from here on. */
  admit(lockName: string): void {
    this.#ended.get(lockName)?.resolve();
    this.#ended.delete(lockName);
  }

  /**
   * Deletes what was asked to be deleted. Its clients are told so, at the latest when they ask for the next broker, and only
   * who comes anew gets one. `onDeleted`: nothing is left; it is not called if that cannot be, and whoever asked hears why.
   */
  async carryOut({ namespace, storage }: Pick<Hello, "namespace" | "storage">, store: BlockStore, clients: readonly Session[], onDeleted: () => void): Promise<void> {
    const { done, askers } = this.#asked!;
    this.#asked = null;
    try {
      await store.destroy();
    } catch (error) {
      done.reject(asMQError(error));
      // A lock is faster than a message: whoever has asked for it shall hear the answer before the broker's end.
      return sleep(this.#timers, LAST_WORDS);
    }
    this.#ended.clear();
    for (const { lockName } of clients) this.#ended.set(lockName, deferred());
    // Also those without a session at the moment: they ask for one yet. (Of one in memory there are none: it is this worker's alone.)
    const held = storage === "memory" ? [] : await this.#heldLocks().catch(() => []);
    for (const name of held) if (name.startsWith(clientLock(namespace))) this.#ended.set(name, deferred());
    onDeleted();
    this.#isGone = true;
    await this.#tell(clients, askers, namespace, done.resolve).finally(() => (this.#isGone = false));
  }

  /** Resolves when everybody has heard of it. `onOthers`: everybody but whoever has asked for it. */
  async #tell(clients: readonly Session[], askers: ReadonlySet<string>, namespace: string, onOthers: () => void): Promise<void> {
    // Now, because this worker may hang on one of the tabs, and nobody after it knows. Who has asked for it comes last,
    // and may close that tab.
    for (const { lockName, onNamespaceEnd } of clients) if (!askers.has(lockName)) onNamespaceEnd(namespaceDestroyed(namespace));
    await this.#gone([...this.#ended.keys()].filter((lockName) => !askers.has(lockName)));
    onOthers();
    await this.#gone([...askers]);
  }

  /** Whoever has heard of the end leaves, or begins anew; who is asleep is not waited for. */
  async #gone(lockNames: readonly string[]): Promise<void> {
    const late = new AbortController();
    const gone = lockNames.map(async (lockName) => {
      const free = this.#locks.acquire(lockName, { signal: late.signal }).then((lock) => lock?.release());
      await Promise.race([free, this.#ended.get(lockName)?.promise ?? free]);
    });
    await Promise.race([Promise.all(gone), sleep(this.#timers, this.#patience)]);
    late.abort();
  }
}
