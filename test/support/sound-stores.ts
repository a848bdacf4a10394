/**
 * Every store that a broker has opened in a test is looked at with the checker when the test is over: every block,
 * record, page, index entry and row of state. Nobody has to ask for it: whoever loads this has each broker tell on what
 * it starts, and teardown.ts ends every test with `checkStores`. What is meant to be damaged says so, and why.
 */
import { Broker } from "../../src/broker/broker.ts";
import type { BlockStore, CommitOutcome } from "../../src/storage/block-store.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
import { checkStore, type Finding, type StoreContent } from "./store-check.ts";

/** What a store that brokers are given in Node says of itself. */
export interface TestStore extends BlockStore {
  /** Where its rows are; or what it is around; or by whom else they are judged. */
  readonly disk?: MemoryDisk;
  readonly inner?: BlockStore;
  readonly judgedBy?: string;
}

interface Opened {
  /** Encrypted: through what its rows can be read. */
  reader: BlockStore | null;
  /** There was no room for a commit: the offsets of its records are not given again. */
  hasHoles: boolean;
}

interface Damage {
  why: string;
  /** Why nothing may be wrong with it in the end; null = the checker has to find something. */
  orSound: string | null;
}

interface Stores {
  check: () => Promise<void>;
  opened: Map<MemoryDisk, Opened>;
  /** For good: a broker of an earlier test may start once more. */
  damages: WeakMap<MemoryDisk, Damage>;
  /** Of every store of the test that runs. */
  all: Damage | null;
  /** What cannot be looked at. */
  unknown: string[];
}

declare global {
  /** One list, however often a test loads all of this anew. */
  var storesOfTest: Stores | undefined;
}

const stores: Stores = (globalThis.storesOfTest ??= { check: checkStores, opened: new Map(), damages: new WeakMap(), all: null, unknown: [] });

const { start } = Broker;
Broker.start = (environment) => {
  const broker = start.call(Broker, environment);
  startsOn(environment.store, broker);
  return broker;
};

/** The test damages this store, or has a broken broker do so: the checker shall find fault with it. `orSound`: why it may not. */
export function asDamaged(disk: MemoryDisk, why: string, orSound: string | null = null): MemoryDisk {
  stores.damages.set(disk, { why, orSound });
  return disk;
}

/** The same of every store of the test that runs, whose brokers are broken: the checker shall find fault with one. */
export function asAllDamaged(why: string, orSound: string | null = null): void {
  stores.all = { why, orSound };
}

/** Looks at all that were opened, and forgets them. Throws when one is not what it should be. */
async function checkStores(): Promise<void> {
  const { damages, all: every } = stores;
  const faults = stores.unknown.map((name) => `What is in a ${name} cannot be looked at.`);
  const opened = [...stores.opened];
  stores.opened.clear();
  [stores.unknown, stores.all] = [[], null];
  let found = 0;
  for (const [disk, one] of opened) {
    const damage = damages.get(disk);
    if ((damage ?? every)?.orSound) continue;
    const findings = await look(disk, one);
    if (damage !== undefined && findings.length === 0) faults.push(`Nothing is wrong with a store that was to be damaged: ${damage.why}.`);
    if (damage !== undefined || findings.length === 0) continue;
    found++;
    if (every === null) faults.push(`It is not sound: ${textOf(findings)}`);
  }
  if (every !== null && every.orSound === null && found === 0) faults.push(`Nothing is wrong with the stores that were to be damaged: ${every.why}.`);
  if (faults.length > 0) throw new Error(`The test leaves a store that is not what it should be.\n${faults.slice(0, 3).join("\n")}`);
}

function startsOn(store: TestStore, broker: Promise<unknown>): void {
  if (store.judgedBy !== undefined) return;
  const disk = diskOf(store);
  if (disk === null) return void stores.unknown.push(store.constructor.name);
  const one: Opened = stores.opened.get(disk) ?? { reader: null, hasHoles: false };
  stores.opened.set(disk, one);
  // Whoever has no right key does not get in.
  if (store.isEncrypted === true) broker.then(() => (one.reader = store), () => {});
  watchCommits(store, (outcome) => (one.hasHoles ||= outcome.status === "rejected" && outcome.reason === "FULL"));
}

function textOf(findings: Finding[]): string {
  const texts = findings.slice(0, 5).map(({ code, where }) => `${code} ${where}`);
  return texts.concat(findings.length > texts.length ? [`and ${findings.length - texts.length} more`] : []).join("; ");
}

function diskOf({ disk, inner }: TestStore): MemoryDisk | null {
  return disk ?? (inner === undefined ? null : diskOf(inner));
}

async function look(disk: MemoryDisk, { reader, hasHoles }: Opened): Promise<Finding[]> {
  return checkStore(reader === null ? disk : await plain(disk, reader), { holes: hasHoles });
}

async function plain({ log, queue, index, state }: MemoryDisk, reader: BlockStore): Promise<StoreContent> {
  const rows = await reader.readLog(0, log.size);
  return { log: new Map(rows.map(({ position, bytes }) => [position, bytes])), queue, index, state };
}

function watchCommits(store: BlockStore, see: (outcome: CommitOutcome) => void): void {
  const own = Object.hasOwn(store, "commit") ? store.commit : null;
  store.commit = (batch) => {
    // Looked up each time: a test may put another in its class later.
    const commit = own ?? (Reflect.getPrototypeOf(store) as BlockStore).commit;
    const outcome = commit.call(store, batch);
    outcome.then(see, () => {});
    return outcome;
  };
}
