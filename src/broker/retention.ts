import { MQError } from "../model/errors.ts";
import { BLOCK_MAX_BYTES, CLEAN_INTERVAL, MAX_SEGMENT_BYTES, ROW_REST } from "../model/limits.ts";
import { CLEAN_FORCIBLY_RATIO, DELETE_BATCH_MAX, diskRule, filesToDelete, FULL_RATIO, parseDeleteWhen } from "../model/retention.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { LogSweeper } from "../storage/log-sweeper.ts";
import type { LogTrimmer } from "../storage/log-trimmer.ts";

/** What the browser says of the room it grants; null where it says nothing. */
export type EstimateRoom = () => Promise<{ usage: number; quota: number } | null>;

export interface RetentionOptions {
  settings: BrokerSettings;
  log: CommitLog;
  trimmer: LogTrimmer;
  sweeper: LogSweeper;
  clock: Clock;
  timers: Timers;
  estimate: EstimateRoom;
  /** What stands in the log from there on has to stay: transactions that are open. */
  pinned: () => number;
  /** Before so many bytes up to a position are given up: messages that wait for their time get out of the way. False = not these. */
  makeWay: (position: number, bytes: number) => Promise<boolean>;
}

/** How soon a cut that could not be made is tried again, ms. */
const RETRY_DELAY = 200;
/** How long the browser may take to give room back, ms: LevelDB compacts when it has time. */
const ESTIMATE_LAG = 600_000;

/**
 * Deletes what has been kept long enough, or longer than there is room for: whole rows of the log, the oldest first,
 * in segments that play the part of RocketMQ's files. First a cut says where the log begins; what it has given up is then
 * swept away in small steps, between the commits.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #began: number;
  #cancel: Cancel | null = null;
  #isRunning = false;
  #isStopped = false;
  /** What is to go next has to stay for now, or is in the way: it is looked at again in the next round, and not with every commit. */
  #isHeld = false;
  #usedRatio = 0;
  #quota = 0;
  #lastUsage = 0;
  /** Removed a short while ago, and not in the browser's estimate yet: it would have us remove as much again. */
  #unseen: { bytes: number; at: number }[] = [];

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#began = options.clock.monotonic();
  }

  /** Call when the log is recovered. */
  start(): void {
    // A host that has been replaced may not know it yet, and trusts that what it wrote stands where it wrote it.
    this.#in(ROW_REST);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Share of the quota that is used, by this origin as a whole; 0 where the browser does not say. */
  get usedRatio(): number {
    return this.#usedRatio;
  }

  /** Why no send is accepted at the moment. What is left of the room is for acknowledgements and offsets. */
  get refusal(): MQError | null {
    if (!diskRule(this.#usedRatio).writesRefused) return null;
    return new MQError("STORAGE_FULL", `More than ${FULL_RATIO * 100} % of the browser's storage quota for this origin is used; nothing is stored until there is room.`);
  }

  /** The log has grown: more than the cap allows is not left until the next round. */
  grown(): void {
    if (this.#excess() > 0 && !this.#isRunning && !this.#isHeld && this.#options.clock.monotonic() - this.#began >= ROW_REST) this.#in(0);
  }

  /** The settings have changed. */
  changed(): void {
    this.#in(Math.max(0, this.#began + ROW_REST - this.#options.clock.monotonic()));
  }

  #in(delay: number): void {
    if (this.#isStopped || this.#isRunning) return;
    this.#cancel?.();
    this.#cancel = this.#options.timers.after(delay, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const next = await this.#round().catch(() => RETRY_DELAY);
    this.#isRunning = false;
    this.#in(next);
  }

  /** One round; returns when the next is due. */
  async #round(): Promise<number> {
    const { trimmer, sweeper, log, makeWay } = this.#options;
    this.#isHeld = false;
    for (let border = await this.#nextCut(); border !== null; border = await this.#nextCut()) {
      if (this.#isStopped) return CLEAN_INTERVAL;
      const hasWay = await makeWay(border, log.bytesBetween(log.minPosition, border)).catch(() => false);
      // Near the end of the quota nothing is spared: else not even an acknowledgement could be stored.
      this.#isHeld = !hasWay && !diskRule(this.#usedRatio).cleanAtOnce;
      if (this.#isHeld) break;
      const { bytes } = trimmer.removed;
      if (!(await trimmer.trim(border))) return RETRY_DELAY;
      this.#unseen.push({ bytes: trimmer.removed.bytes - bytes, at: this.#options.clock.monotonic() });
    }
    return (await sweeper.sweep(() => this.#isStopped)) ? CLEAN_INTERVAL : RETRY_DELAY;
  }

  async #look(): Promise<void> {
    const room = await this.#options.estimate().catch(() => null);
    if (room === null || room.quota <= 0) return;
    const since = this.#options.clock.monotonic() - ESTIMATE_LAG;
    this.#unseen = this.#unseen.filter(({ at }) => at >= since);
    let seen = Math.max(0, this.#lastUsage - room.usage);
    for (const removed of this.#unseen) {
      const part = Math.min(seen, removed.bytes);
      seen -= part;
      removed.bytes -= part;
    }
    this.#lastUsage = room.usage;
    this.#quota = room.quota;
    this.#usedRatio = Math.max(0, room.usage - this.#unseen.reduce((sum, { bytes }) => sum + bytes, 0)) / room.quota;
  }

  get #overQuota(): number {
    return (this.#usedRatio - CLEAN_FORCIBLY_RATIO) * this.#quota;
  }

  /** Bytes above the cap that the user has set. */
  #excess(): number {
    const { settings: { maxStoreBytes }, log } = this.#options;
    return maxStoreBytes === 0 ? 0 : log.bytesBetween(log.minPosition, log.durablePosition) - maxStoreBytes;
  }

  #isHour(): boolean {
    const hours = parseDeleteWhen(this.#options.settings.deleteWhen) ?? [];
    return hours.length === 0 || hours.includes(new Date(this.#options.clock.now()).getHours());
  }

  /** Up to where the log goes next; null = all of it stays. Never inside a transaction that is open. */
  async #nextCut(): Promise<number | null> {
    const wanted = await this.#wantedCut();
    const pinned = this.#options.pinned();
    this.#isHeld = wanted !== null && wanted > pinned;
    if (!this.#isHeld) return wanted;
    return (await this.#options.trimmer.lastBorder(pinned + 1))?.position ?? null;
  }

  async #wantedCut(): Promise<number | null> {
    await this.#look();
    const { deleteTriggered, cleanAtOnce } = diskRule(this.#usedRatio);
    const excess = Math.max(this.#excess(), cleanAtOnce ? this.#overQuota : 0);
    if (excess > 0) {
      const { log, trimmer } = this.#options;
      // Whatever its age; where that is more than there is, all but the last rows.
      const kept = log.bytesBetween(log.minPosition, log.durablePosition) - excess;
      const border = (await trimmer.border(log.beginOfLast(kept))) ?? (await trimmer.lastBorder());
      if (border !== null) return border.position;
    }
    return deleteTriggered || this.#isHour() ? this.#lastExpired() : null;
  }

  /** Where the last segment ends that is old enough; of the one that is not whole, the last block. */
  async #lastExpired(): Promise<number | null> {
    const { settings, log, trimmer, clock } = this.#options;
    const segment = settings.maxStoreBytes === 0 ? MAX_SEGMENT_BYTES : Math.min(MAX_SEGMENT_BYTES, Math.max(BLOCK_MAX_BYTES, settings.maxStoreBytes / 16));
    const rules = { now: clock.now(), reservedMs: settings.fileReservedTime, cleanAtOnce: false };
    let last: number | null = null;
    for (const size of new Set([segment, BLOCK_MAX_BYTES])) {
      for (let count = 0; count < DELETE_BATCH_MAX; count++) {
        const border = await trimmer.border((last ?? log.minPosition) + size);
        // What lies behind is the file that is being written.
        if (border === null || filesToDelete([border.storeTimestamp, Number.POSITIVE_INFINITY], rules) === 0) break;
        last = border.position;
      }
    }
    return last;
  }
}
