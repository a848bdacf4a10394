import { BLOCK_MAX_BYTES, CHUNK_MAX_BYTES, ROW_REST, SMALL_ROW_BYTES } from "../model/limits.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { BlockStore, CommitOutcome, LogRow } from "./block-store.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { CommitLog } from "./commit-log.ts";
import type { DurableState } from "./durable-state.ts";
import type { Indexer, SealedChunk } from "./indexer.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";
import { makeBlock } from "./ts-chunks.ts";

export const MERGE_KEY = "merge";

/** Rows before `from` stay as they are; `folded` rows behind it have become part of others. */
interface Progress {
  from: number;
  folded: number;
}

/** A row that is known by its place alone. */
interface Row {
  position: number;
  end: number;
}

const BLOCK_PAYLOAD = BLOCK_MAX_BYTES - CHUNK_HEADER_BYTES;
const CHUNK_PAYLOAD = CHUNK_MAX_BYTES - CHUNK_HEADER_BYTES;
/** Fewer rows than this are not worth a write. */
const WORTH_ROWS = 16;
/** How long commits have the store for themselves between two steps, ms. */
const PAUSE = 100;
/** How much of the log may go by before it is noted that nothing in it is to be merged. */
const NOTE_BYTES = 16 * 1024 * 1024;
const KEYS_AT_ONCE = 4096;

export interface LogMergerOptions {
  store: BlockStore;
  log: CommitLog;
  indexer: Indexer;
  checkpoint: Checkpoint;
  state: DurableState;
  timers: Timers;
  clock: Clock;
  epoch: number;
}

/**
 * A message sent alone leaves a row of its own, and a million rows are slow to read and to delete. In the background
 * small rows become chunks, and when a mebibyte has gathered a block. Rows that are large from the start are left alone.
 * Each step is one transaction of its own, which removes rows and puts one with the same records in their place, so a
 * crash finds the one or the other; a commit waits for one such write at most. Only rows before the checkpoint are merged.
 */
export class LogMerger {
  readonly #options: LogMergerOptions;
  readonly #began: number;
  #progress: Progress = { from: 0, folded: 0 };
  #noted = 0;
  /** The rows from `from` on; null = to be looked up. */
  #rows: Row[] | null = null;
  /** Rows that are committed while the others are looked up. */
  #arriving: Row[] = [];
  #cancel: Cancel | null = null;
  #isStopped = false;

  constructor(options: LogMergerOptions) {
    this.#options = options;
    this.#began = options.clock.monotonic();
  }

  /** What the last host has noted; call before the first commit. */
  restore(row: unknown): void {
    const { from, folded } = (typeof row === "object" && row !== null ? row : {}) as Partial<Progress>;
    // Wrong notes cost some reading and nothing else.
    if (Number.isSafeInteger(from) && Number.isSafeInteger(folded)) this.#progress = { from: from!, folded: folded! };
    this.#noted = this.#progress.from;
    this.#schedule();
  }

  /** New rows are durable. */
  committed(chunks: readonly SealedChunk[]): void {
    for (const { position, bytes } of chunks) (this.#rows ?? this.#arriving).push({ position, end: position + bytes.byteLength - CHUNK_HEADER_BYTES });
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#cancel !== null || this.#isStopped) return;
    const { clock, timers } = this.#options;
    const delay = Math.max(PAUSE, this.#began + ROW_REST - clock.monotonic());
    this.#cancel = timers.after(delay, () => {
      void this.#step()
        // The store has failed at a read; whatever is wrong with it, the commits will tell.
        .catch(() => (this.#rows = null))
        .then((isToGoOn) => {
          this.#cancel = null;
          if (isToGoOn === true) this.#schedule();
        });
    });
  }

  /** Does at most one write; true if there may be more to do. */
  async #step(): Promise<boolean> {
    const known = this.#rows ?? (await this.#lookUp());
    const { log, checkpoint: { storedPosition } } = this.#options;
    const gone = known.filter(({ position }) => position < log.minPosition).length;
    if (gone > 0) this.#leave(gone);
    const rows = known.slice(0, known.findLastIndex(({ end }) => end <= storedPosition) + 1);
    for (;;) {
      const group = prefix(rows, BLOCK_PAYLOAD);
      if (group.length === rows.length) break;
      const bytes = group.at(-1)!.end - group[0]!.position;
      const isSmall = group.length > 1 && (group.length + this.#progress.folded) * SMALL_ROW_BYTES > bytes;
      if (!isSmall) {
        this.#leave(group.length);
        rows.splice(0, group.length);
        continue;
      }
      const merged = await this.#merge(group, BLOCK_PAYLOAD);
      if (typeof merged === "number") this.#leave(1);
      return merged !== "failed";
    }
    const run = smallRun(rows);
    if (run === null) return false;
    const merged = await this.#merge(run, CHUNK_PAYLOAD);
    if (merged === 0) this.#leave(rows.indexOf(run[0]!) + 1);
    else if (typeof merged === "number") this.#progress.folded += merged - 1;
    return merged !== "failed";
  }

  async #lookUp(): Promise<Row[]> {
    const { store, log } = this.#options;
    const end = log.durablePosition;
    this.#arriving = [];
    const rows: Row[] = [];
    for (let from = Math.max(this.#progress.from, log.minPosition); from < end; ) {
      const keys = await store.readLogKeys(from, KEYS_AT_ONCE);
      for (const position of keys) {
        if (rows.length > 0) rows.at(-1)!.end = Math.min(position, end);
        if (position < end) rows.push({ position, end });
      }
      if (keys.length < KEYS_AT_ONCE) break;
      from = keys.at(-1)! + 1;
    }
    // No await between this and whoever adds the next: none is forgotten.
    return (this.#rows = [...rows, ...this.#arriving]);
  }

  /** Nothing is to be done about the first rows any more. */
  #leave(count: number): void {
    const rows = this.#rows!;
    const end = rows[count - 1]!.end;
    rows.splice(0, count);
    this.#progress = { from: end, folded: 0 };
    if (end - this.#noted < NOTE_BYTES) return;
    this.#noted = end;
    this.#options.state.set(MERGE_KEY, { ...this.#progress });
  }

  /** Makes one row of the first of these rows, as many as belong together: returns how many; 0 = these cannot be merged. */
  async #merge(group: Row[], limit: number): Promise<number | "busy" | "failed"> {
    const { store, log, epoch } = this.#options;
    const merged = await log.rewrite(async () => {
      // Given up meanwhile; and a row that goes on behind the log's begin must not go with what was before.
      if (group[0]!.position < log.minPosition) return 0;
      const rows = await store.readLog(group[0]!.position, group.length);
      const block = this.#blockOf(rows, limit);
      if (block === null || block.position !== group[0]!.position) return 0;
      const outcome = await store.commit({ epoch, remove: { log: [block.position, block.end] }, log: [block], queue: [], state: [] });
      return this.#settle(outcome, block);
    });
    return merged ?? "busy";
  }

  #settle(outcome: CommitOutcome, { position, end, count }: Row & { count: number }): number | "failed" {
    if (outcome.status === "committed") {
      const at = this.#rows!.findIndex((row) => row.position === position);
      this.#rows!.splice(at, count, { position, end });
      return count;
    }
    // Done or not, the rows say; and whoever is fenced or has no store hears so from its next commit.
    this.#rows = null;
    this.#isStopped ||= outcome.status === "rejected" && outcome.reason === "FENCED";
    return "failed";
  }

  /** As many of the rows as are whole, stand end to end and hold whole records. */
  #blockOf(rows: LogRow[], limit: number): (Row & { count: number; bytes: Uint8Array }) | null {
    const { indexer } = this.#options;
    const position = rows[0]?.position ?? 0;
    const payloads: Uint8Array[] = [];
    let whole = { end: position, count: 0, epoch: 0 };
    let end = position;
    let isOpen = false;
    for (const row of rows) {
      const chunk = indexer.openChunk(row.bytes, row.position);
      if (!chunk.ok || row.position !== end || chunk.starts === isOpen || end + chunk.payload.byteLength - position > limit) break;
      payloads.push(chunk.payload);
      end += chunk.payload.byteLength;
      isOpen = !chunk.ends;
      if (chunk.ends) whole = { end, count: payloads.length, epoch: chunk.epoch };
    }
    if (whole.count < 2) return null;
    const { bytes } = makeBlock(payloads.slice(0, whole.count), whole.epoch, position);
    return { position, end: whole.end, count: whole.count, bytes };
  }
}

/** As many of the first rows as fit into a payload, one at least. */
function prefix(rows: Row[], payload: number): Row[] {
  const count = rows.findIndex(({ end }) => end - rows[0]!.position > payload);
  return rows.slice(0, count < 0 ? rows.length : Math.max(1, count));
}

/** The first small rows in a row that fill a chunk; null when there are none yet. */
function smallRun(rows: Row[]): Row[] | null {
  let first = 0;
  for (const [at, { position, end }] of rows.entries()) {
    const isLarge = end - position > SMALL_ROW_BYTES;
    if (!isLarge && end - rows[first]!.position <= CHUNK_PAYLOAD) continue;
    if (at - first >= WORTH_ROWS) return rows.slice(first, at);
    first = isLarge ? at + 1 : at;
  }
  return null;
}
