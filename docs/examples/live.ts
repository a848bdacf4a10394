/**
 * What a live example gets, and how it is played: in a namespace of its own that nobody else has, and which is destroyed
 * at its end. So an example cleans nothing up, and what a reader copies holds nothing that is only for this page.
 */
import { connect, MQError } from "tabmq";

export interface Live {
  /** The example's own. */
  namespace: string;
  /** Shows a line below the code. */
  log(line: string): void;
  /** Waits until it is so. Rejects when the reader presses Stop. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
}

/** One of the files here. */
export interface Example {
  default(live: Live): Promise<void>;
  /** Of a namespace that is encrypted: without it nobody could destroy it. */
  encryptionKey?: Uint8Array;
}

export interface Played {
  /** Missing = it has come to its end. `stopped`: by the reader. */
  error?: string;
  stopped: boolean;
}

/** Namespaces are noted here until they are gone, so that a page that is closed in the middle leaves nothing for ever. */
const NOTES = "tabmq-docs/";
const POLL = 20;

/** Resolves when the example has ended, however it ended, and its namespace is gone. Never rejects. */
export async function play(name: string, example: Example, log: (line: string) => void, signal: AbortSignal): Promise<Played> {
  const namespace = `docs-${name}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    return await navigator.locks.request(NOTES + namespace, async () => {
      note(namespace, true);
      const stopped = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("Stopped.", "AbortError")), { once: true }));
      stopped.catch(() => {});
      const until: Live["until"] = async (condition) => {
        for (;;) {
          signal.throwIfAborted();
          if (await condition()) return;
          await new Promise((resolve) => setTimeout(resolve, POLL));
        }
      };
      const running = example.default({ namespace, log: (line) => void (signal.aborted || log(line)), until });
      try {
        await Promise.race([running, stopped]);
        return { stopped: false };
      } finally {
        // What cannot be destroyed now, or never was there, is left to the next run.
        const isGone = await destroy(namespace, example.encryptionKey).then(() => true, () => false);
        // Its calls end with CLOSED now.
        if (isGone) await running.catch(() => {});
        note(namespace, !isGone);
      }
    });
  } catch (error) {
    if (signal.aborted) return { stopped: true };
    return { stopped: false, error: error instanceof MQError ? `${error.code}: ${error.message}` : String(error) };
  }
}

/** Destroys what examples have left whose page was closed in the middle; one that is being played holds its lock. */
export async function removeLeftovers(): Promise<void> {
  for (const name of Object.keys(localStorage).filter((key) => key.startsWith(NOTES))) {
    await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      const namespace = name.slice(NOTES.length);
      // Nobody has the key of an encrypted one any more, which leaves the database itself.
      await destroy(namespace).catch(() => void indexedDB.deleteDatabase(`tabmq/${namespace}`));
      note(namespace, false);
    });
  }
}

/** For everybody: all of an example's connections end by it. */
async function destroy(namespace: string, encryptionKey?: Uint8Array): Promise<void> {
  const mq = await connect({ namespace, ...(encryptionKey === undefined ? {} : { encryptionKey }) });
  await mq.admin.destroy();
  await mq.close();
  // Databases of its own, which are named after the namespace.
  for (const { name } of (await indexedDB.databases?.()) ?? []) if (name?.endsWith(`-${namespace}`)) await remove(name);
}

/** As far as it can be: what an example that was stopped holds open goes when it is closed. */
function remove(database: string): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(database);
    for (const end of ["success", "error", "blocked"]) request.addEventListener(end, () => resolve());
  });
}

function note(namespace: string, isThere: boolean): void {
  try {
    if (isThere) localStorage.setItem(NOTES + namespace, "");
    else localStorage.removeItem(NOTES + namespace);
  } catch {
    // A page that may not remember cannot clean up after its own death.
  }
}
