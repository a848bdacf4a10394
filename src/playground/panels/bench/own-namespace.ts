import { connect } from "../../../index.ts";

/** Storage of a run's own: its name is noted until it is deleted, so that a page that is closed meanwhile leaves nothing for ever. */
const NOTES = "tabmq-bench/";

/** Runs `use` with a namespace that nobody else has; `use` destroys it. */
export async function withOwnNamespace<T>(use: (namespace: string) => Promise<T>): Promise<T> {
  const namespace = `bench-${crypto.randomUUID().slice(0, 8)}`;
  return navigator.locks.request(NOTES + namespace, async () => {
    note(namespace);
    return use(namespace);
  });
}

/** It is gone. */
export function forget(namespace: string): void {
  localStorage.removeItem(NOTES + namespace);
}

/** Deletes what runs have left whose page was closed; a run that is going on holds its lock. */
export async function removeLeftovers(): Promise<void> {
  const names = Object.keys(localStorage).filter((key) => key.startsWith(NOTES));
  for (const name of names) {
    await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      const namespace = name.slice(NOTES.length);
      const mq = await connect({ namespace });
      await mq.admin.destroy();
      await mq.close();
      indexedDB.deleteDatabase(ceilingOf(namespace));
      forget(namespace);
    });
  }
}

/** The raw writer's worker and database. */
export function ceilingOf(namespace: string): string {
  return `tabmq-${namespace}-ceiling`;
}

function note(namespace: string): void {
  try {
    localStorage.setItem(NOTES + namespace, "");
  } catch {
    // A page that may not remember cannot clean up after its own death.
  }
}
