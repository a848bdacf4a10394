import { completionOf } from "../model/completion.ts";
import { MQError } from "../model/errors.ts";
import { finishOf } from "../model/finish.ts";
import { CACHE_BYTES, MAX_DAMAGE_REPORTS } from "../model/limits.ts";
import { HALF_TOPIC } from "../model/system-names.ts";
import type { Clock } from "../platform/clock.ts";
import { deferred } from "../platform/deferred.ts";
import { SteadyClock } from "../platform/steady-clock.ts";
import type { Timers } from "../platform/timers.ts";
import type { BrokerDiagnostics, BrokerStats, DamagedRange, RecoveryReport, WitnessMark } from "../protocol/api.ts";
import { type BrokerSettings, type MutableSettings, mutableSettings } from "../protocol/broker-settings.ts";
import { LIBRARY_VERSION } from "../protocol/api.ts";
import type { BlockStore } from "../storage/block-store.ts";
import { CacheBudget } from "../storage/cache-budget.ts";
import { CHECKPOINT_KEY, Checkpoint, readCheckpoint } from "../storage/checkpoint.ts";
import { CommitLog } from "../storage/commit-log.ts";
import { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import { Deletions } from "../storage/deletions.ts";
import { DurableState } from "../storage/durable-state.ts";
import { refuseEncrypted } from "../storage/key-check.ts";
import { GroupCommit } from "../storage/group-commit.ts";
import type { Indexer, ScannedTable } from "../storage/indexer.ts";
import { KeyIndex } from "../storage/key-index.ts";
import { scanLog } from "../storage/log-scanner.ts";
import { LogMerger, MERGE_KEY } from "../storage/log-merger.ts";
import { LogSweeper, SWEPT_KEY } from "../storage/log-sweeper.ts";
import { LogTrimmer, readTrim, TRIM_KEY } from "../storage/log-trimmer.ts";
import { afterEarlier, gapEnds, judgeLoss, LOSS_KEY, readLoss } from "../storage/loss.ts";
import { recover } from "../storage/recovery.ts";
import { refuseLaterFormat } from "../storage/store-format.ts";
import { Completions } from "./completions.ts";
import { Connections } from "./connections.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Dispatcher } from "./dispatch.ts";
import { Diversions } from "./diversions.ts";
import { FetchService } from "./fetch.ts";
import { FinishedKeys } from "./finished-keys.ts";
import { FlushService } from "./flush.ts";
import { GroupConfigs } from "./group-configs.ts";
import { Groups } from "./groups.ts";
import { HalfMessages } from "./half-messages.ts";
import { Inboxes } from "./inbox.ts";
import { KeyClaims } from "./key-claims.ts";
import { LogAppender } from "./log-appender.ts";
import { LogExport } from "./log-export.ts";
import { LogImport } from "./log-import.ts";
import { MessageTracks } from "./message-tracks.ts";
import { Mover } from "./mover.ts";
import { OffsetReset } from "./offset-reset.ts";
import { Offsets } from "./offsets.ts";
import { OpenTransactions } from "./open-transactions.ts";
import { PendingTimers } from "./pending-timers.ts";
import { PopService } from "./pop.ts";
import { Producers } from "./producers.ts";
import { QueryService } from "./query.ts";
import { QueueShrinking } from "./queue-shrinking.ts";
import { QueueReader } from "./queue-reader.ts";
import { RecallService } from "./recall.ts";
import { RequestService } from "./requests.ts";
import { Resends } from "./resends.ts";
import { Removals } from "./removals.ts";
import { type EstimateRoom, Retention } from "./retention.ts";
import { RetryService } from "./retry.ts";
import { ScheduleService } from "./schedule.ts";
import { SendService } from "./send.ts";
import type { Session } from "./session.ts";
import { StartOffsets } from "./start-offsets.ts";
import { Stats } from "./stats.ts";
import { TimeSearch } from "./time-search.ts";
import { TimerWheel } from "./timer-wheel.ts";
import { Topics } from "./topics.ts";
import { TraceRetention } from "./trace-retention.ts";
import { TransactionChecks } from "./transaction-checks.ts";
import { TransactionService } from "./transactions.ts";
import { Traffic } from "./traffic.ts";
import { WasmFilters } from "./wasm-filters.ts";

/** Everything from outside that a broker needs. */
export interface BrokerEnvironment {
  store: BlockStore;
  indexer: Indexer;
  clock: Clock;
  timers: Timers;
  incarnation: string;
  settings: BrokerSettings;
  /** What tabs remember of the store. */
  witness: WitnessMark | null;
  estimateRoom: EstimateRoom;
}

const CONFIG_KEY = "config";

/**
 * One life of the broker, from recovery to its end: wires the services together and holds no logic of its own.
 * It runs wherever its environment comes from: in a SharedWorker over IndexedDB, in Node over memory.
 */
export class Broker {
  readonly settings: BrokerSettings;
  readonly incarnation: string;
  readonly epoch: number;
  readonly sessions = new Set<Session>();
  readonly topics: Topics;
  readonly send: SendService;
  readonly flushes: FlushService;
  readonly groups: Groups;
  readonly groupConfigs: GroupConfigs;
  readonly removals: Removals;
  /** What idempotent consumers have in hand. */
  readonly keys: KeyClaims;
  readonly filters = new WasmFilters(() => this.sessions);
  readonly fetches: FetchService;
  readonly retries: RetryService;
  readonly completions: Completions;
  readonly deadLetters: DeadLetters;
  readonly pops: PopService;
  readonly stats: Stats;
  readonly connections: Connections;
  readonly times: TimeSearch;
  readonly starts: StartOffsets;
  readonly resets: OffsetReset;
  readonly tracks: MessageTracks;
  readonly exports: LogExport;
  readonly imports: LogImport;
  readonly queries: QueryService;
  /** What clients are told without asking. */
  readonly inboxes: Inboxes;
  readonly requests: RequestService;
  readonly recalls: RecallService;
  readonly pendingTimers: PendingTimers;
  readonly producers: Producers;
  readonly transactions: TransactionService;
  readonly transactionChecks: TransactionChecks;
  readonly openTransactions: OpenTransactions;
  /** Messages on ports that were no legal calls. */
  violations = 0;
  readonly #environment: BrokerEnvironment;
  readonly #end = deferred<MQError>();
  readonly #damaged: DamagedRange[] = [];
  #bootTimestamp = 0;
  #recovered: Omit<RecoveryReport, "rebuilt"> = { loss: "none", lastKnownPosition: null, replayed: 0, position: 0, damaged: [], moreDamaged: 0, tookMs: 0 };
  readonly #state = new DurableState();
  readonly #deletions = new Deletions(this.#state);
  readonly #budget = new CacheBudget(CACHE_BYTES);
  readonly #log: CommitLog;
  readonly #queues: ConsumeQueueStore;
  readonly #keys: KeyIndex;
  readonly #checkpoint: Checkpoint;
  readonly #merger: LogMerger;
  readonly #trimmer: LogTrimmer;
  readonly #sweeper: LogSweeper;
  readonly #retention: Retention;
  readonly #commit: GroupCommit;
  readonly #offsets: Offsets;
  readonly #finished: FinishedKeys;
  readonly #wheel: TimerWheel;
  readonly #schedule: ScheduleService;
  readonly #traces: TraceRetention;
  readonly #halves: HalfMessages;

  /** Takes the store over and recovers it. */
  static async start(environment: BrokerEnvironment): Promise<Broker> {
    const began = environment.clock.now();
    const { store, witness } = environment;
    await refuseLaterFormat(store);
    const taken = await store.takeOver(0, refuseEncrypted);
    // A store older than what was served from it: epochs go on above those that tabs have seen.
    const isOutdated = witness !== null && taken <= witness.epoch;
    const broker = new Broker(environment, isOutdated ? await store.takeOver(witness.epoch) : taken);
    await broker.#recover(began, taken - 1);
    return broker;
  }

  private constructor(environment: BrokerEnvironment, epoch: number) {
    const { store, indexer, clock, timers, settings, incarnation } = environment;
    this.#environment = environment;
    this.settings = settings;
    this.incarnation = incarnation;
    this.epoch = epoch;
    this.#log = new CommitLog(indexer, store, this.#budget, (range) => this.#reportDamage(range));
    this.#queues = new ConsumeQueueStore(store, this.#budget, () => scanLog(this.#log.rows(this.#log.minPosition), indexer, this.#log.minPosition));
    this.#keys = new KeyIndex({ store, indexer, budget: this.#budget, scan: (from) => scanLog(this.#log.rowsAt(from), indexer, from) });
    this.#checkpoint = new Checkpoint(this.#queues, this.#keys);
    this.#merger = new LogMerger({ store, log: this.#log, indexer, checkpoint: this.#checkpoint, state: this.#state, timers, clock, epoch });
    this.#trimmer = new LogTrimmer({ store, log: this.#log, queues: this.#queues, keys: this.#keys, checkpoint: this.#checkpoint, indexer, epoch });
    this.#sweeper = new LogSweeper({ store, log: this.#log, trimmer: this.#trimmer, clock, epoch, onRoom: () => this.#commit.roomMade() });
    this.#retention = new Retention({
      settings, log: this.#log, trimmer: this.#trimmer, sweeper: this.#sweeper, clock, timers, estimate: environment.estimateRoom,
      pinned: () => this.#halves.firstPosition,
      makeWay: (position, bytes) => this.#schedule.makeWay(position, bytes),
    });
    this.#commit = new GroupCommit({
      store,
      log: this.#log,
      state: this.#state,
      checkpoint: this.#checkpoint,
      merger: this.#merger,
      timers,
      epoch,
      durability: () => this.#durability,
      onRoom: () => this.send.takeIn(),
      onReopened: () => this.#deletions.reopened(this.#log.durablePosition),
      onFatal: this.#end.resolve,
    });
    const reader = new QueueReader({ log: this.#log, indexer, clock, deletions: this.#deletions });
    const traffic = new Traffic(clock);
    this.topics = new Topics(this.#state, settings, this.#deletions);
    this.#queues.beginOf = (queue) => this.#deletions.begin(queue);
    this.groupConfigs = new GroupConfigs(this.#state, settings);
    this.#offsets = new Offsets(this.#state, this.#deletions);
    const steady = new SteadyClock(clock);
    this.#finished = new FinishedKeys(this.#state, steady);
    this.keys = new KeyClaims(this.#finished, this.#state);
    this.groups = new Groups({ topics: this.topics, queues: this.#queues, offsets: this.#offsets, finished: this.#finished, keys: this.keys, configs: this.groupConfigs, clock, timers });
    this.groupConfigs.onChanged = (group) => this.groups.configChanged(group);
    this.fetches = new FetchService({ groups: this.groups, queues: this.#queues, topics: this.topics, reader, traffic, timers });
    const dispatcher = new Dispatcher(this.#keys, (queues) => {
      this.fetches.published(queues);
      this.pops.published(queues);
      this.#schedule.published(queues);
      this.#traces.published(queues);
      for (const { topic } of queues) if (topic === HALF_TOPIC) this.#halves.published();
      this.#retention.grown();
    });
    this.#traces = new TraceRetention(this.#queues);
    this.flushes = new FlushService({ clock, timers, settings });
    const appender = new LogAppender({ log: this.#log, commit: this.#commit, dispatcher, traffic, clock: steady });
    const refusal = (): MQError | null => this.#retention.refusal;
    const mover = new Mover({ log: this.#log, appender, queues: this.#queues, offsets: this.#offsets, reader, refusal });
    this.#wheel = new TimerWheel({
      settings, deletions: this.#deletions, topics: this.topics, queues: this.#queues, finished: this.#offsets.timers, indexer, reader, mover, clock,
    });
    this.#schedule = new ScheduleService({
      settings, state: this.#state, deletions: this.#deletions, topics: this.topics, queues: this.#queues, offsets: this.#offsets, reader, mover, wheel: this.#wheel,
      clock: steady, wall: clock, timers,
    });
    const waits = [this.#schedule, this.#wheel];
    this.#halves = new HalfMessages({ log: this.#log, queues: this.#queues, offsets: this.#offsets, reader, state: this.#state, clock: steady, timers });
    this.transactions = new TransactionService({
      settings, halves: this.#halves, topics: this.topics, offsets: this.#offsets, mover, diversions: new Diversions(waits), queries: () => this.queries, settled: () => appender.settled(), clock: steady,
    });
    const diversions = new Diversions([this.transactions, ...waits]);
    this.send = new SendService({ log: this.#log, queues: this.#queues, topics: this.topics, appender, flushes: this.flushes, diversions, settings, resends: new Resends(this.#log, this.#keys), refusal });
    this.completions = new Completions({ groups: this.groups, offsets: this.#offsets, queues: this.#queues, finished: this.#finished, mover, send: this.send });
    this.retries = new RetryService({ groups: this.groups, topics: this.topics, mover, diversions, schedule: this.#schedule });
    this.pops = new PopService({
      epoch, state: this.#state, groups: this.groups, topics: this.topics, queues: this.#queues, offsets: this.#offsets, reader, retries: this.retries, traffic,
      clock, steady, timers,
    });
    this.removals = new Removals({
      store, epoch, log: this.#log, state: this.#state, deletions: this.#deletions, queues: this.#queues, topics: this.topics, offsets: this.#offsets,
      groups: this.groups, configs: this.groupConfigs, finished: this.#finished, pops: this.pops.ledger, timers,
    });
    const shrinking = new QueueShrinking({ queues: this.#queues, commit: this.#commit, offsets: this.#offsets, groups: this.groups, removals: this.removals });
    this.topics.shrinking = (topic, from, to) => shrinking.prepare(topic, from, to);
    this.groups.onPopperGone = (member) => this.pops.gone(member);
    this.groups.onTermsChanged = (group) => this.pops.termsChanged(group);
    this.groups.claimantOf = (group) => this.pops.ledger.claimantOf(group);
    this.deadLetters = new DeadLetters({ queues: this.#queues, offsets: this.#offsets, topics: this.topics, reader, mover });
    this.stats = new Stats({ topics: this.topics, queues: this.#queues, offsets: this.#offsets, groups: this.groups, pops: this.pops.ledger, deadLetters: this.deadLetters, reader, traffic });
    this.connections = new Connections(this.groups, this.#offsets, this.groupConfigs);
    this.times = new TimeSearch(this.#queues, this.#log);
    this.starts = new StartOffsets({ offsets: this.#offsets, topics: this.topics, times: this.times });
    this.resets = new OffsetReset({ groups: this.groups, offsets: this.#offsets, topics: this.topics, queues: this.#queues, times: this.times, pops: this.pops });
    this.exports = new LogExport({ log: this.#log, indexer, state: this.#state, topics: this.topics, offsets: this.#offsets, deletions: this.#deletions });
    this.imports = new LogImport({
      log: this.#log, queues: this.#queues, keys: this.#keys, commit: this.#commit, dispatcher, state: this.#state, topics: this.topics, offsets: this.#offsets, refusal,
      onEnd: () => this.#startServices(),
    });
    this.queries = new QueryService({ log: this.#log, keys: this.#keys, topics: this.topics, deletions: this.#deletions });
    this.recalls = new RecallService(this.#wheel, this.queries);
    this.pendingTimers = new PendingTimers({ queues: this.#queues, offsets: this.#offsets, reader, times: this.times, wheel: this.#wheel, schedule: this.#schedule });
    this.tracks = new MessageTracks({ groups: this.groups, offsets: this.#offsets, queries: this.queries });
    this.inboxes = new Inboxes(timers);
    this.requests = new RequestService({ log: this.#log, groups: this.groups, topics: this.topics, inboxes: this.inboxes, sessions: this.sessions });
    this.producers = new Producers((group) => this.transactionChecks.joined(group));
    this.transactionChecks = new TransactionChecks({
      settings, halves: this.#halves, transactions: this.transactions, producers: this.producers, inboxes: this.inboxes, mover, clock: steady, timers,
    });
    this.openTransactions = new OpenTransactions(this.#halves, this.transactionChecks, mover);
    this.groups.onExpired = (member) => {
      for (const session of this.sessions) if (session.members.has(member)) this.groups.remove(session, member);
    };
    store.onLost = (reason) => this.#fail(new MQError("STORAGE_UNAVAILABLE", `The store is gone: ${reason}.`, { outcome: "unknown" }));
  }

  /** Resolves when the broker cannot go on, which may be before it has begun. */
  get end(): Promise<MQError> {
    return this.#end.promise;
  }

  /** Of commits; an admin may change it. */
  get #durability(): "strict" | "relaxed" {
    return this.settings.flushDiskType === "async" ? "relaxed" : "strict";
  }

  endSession(session: Session): void {
    session.closed = true;
    session.onEnd();
    this.sessions.delete(session);
    for (const member of session.members) this.groups.remove(session, member);
    this.producers.gone(session);
    this.inboxes.close(session);
    this.transactionChecks.gone(session);
  }

  get recovery(): RecoveryReport {
    return { ...this.#recovered, rebuilt: this.#queues.rebuilt + this.#keys.rebuilt };
  }

  get durablePosition(): number {
    return this.#log.durablePosition;
  }

  /** What whoever outlives this broker should remember. */
  mark(): WitnessMark {
    return { epoch: this.epoch, position: this.durablePosition, groups: this.#offsets.groups() };
  }

  diagnostics(): Omit<BrokerDiagnostics, "calls" | "worker"> {
    const { store, indexer } = this.#environment;
    return {
      lib: LIBRARY_VERSION,
      incarnation: this.incarnation,
      epoch: this.epoch,
      storage: store.kind,
      durability: store.kind === "memory" ? "memory" : this.#durability,
      encrypted: store.isEncrypted ?? false,
      settings: this.settings,
      indexer: indexer.kind,
      sessions: this.sessions.size,
      position: this.#log.position,
      durablePosition: this.#log.durablePosition,
      commits: this.#commit.commits,
      cacheBytes: this.#budget.bytes,
      storageFull: this.#commit.isFull || this.#retention.refusal !== null,
      lostSends: this.flushes.lostSends,
      recovery: this.recovery,
      damaged: this.#damaged,
      violations: this.violations,
      transactions: this.transactions.pending,
      retention: {
        minPosition: this.#log.minPosition,
        removedMessages: this.#trimmer.removed.messages,
        removedBytes: this.#trimmer.removed.bytes,
        usedRatio: this.#retention.usedRatio,
        removedTimers: this.#wheel.lost,
      },
      timers: { pending: this.#wheel.pending, indexBytes: this.#wheel.indexBytes },
    };
  }

  brokerStats(): BrokerStats {
    const { messages, ...counts } = this.stats.broker();
    const removed = this.#trimmer.removed;
    return {
      ...counts, messages, epoch: this.epoch, bootTimestamp: this.#bootTimestamp, clients: this.sessions.size,
      bytes: this.#log.bytesBetween(this.#log.minPosition, this.#log.durablePosition), commits: this.#commit.commits, removedMessages: removed.messages,
    };
  }

  /** Takes effect at once; resolves when later brokers will know it too. */
  async updateConfig(settings: Partial<MutableSettings>): Promise<BrokerSettings> {
    Object.assign(this.settings, settings);
    this.#retention.changed();
    this.transactionChecks.changed();
    await this.#state.save(CONFIG_KEY, { ...(this.#state.get(CONFIG_KEY) as object | undefined), ...settings });
    return this.settings;
  }

  /** Writes what is left and ends. */
  async close(): Promise<void> {
    await this.#commit.close();
    this.#stop();
  }

  /** Ends: whoever runs it deletes what is stored. */
  destroy(error: MQError): void {
    this.#fail(error);
  }

  /** Ends at once, without writing. */
  abandon(error: MQError): void {
    this.#commit.stop(error);
    this.send.stop(error);
    this.#stop();
  }

  async #recover(began: number, epoch: number): Promise<void> {
    const { store, indexer, clock, witness } = this.#environment;
    this.#bootTimestamp = began;
    const rows = new Map(await store.readState(""));
    const checkpoint = readCheckpoint(rows.get(CHECKPOINT_KEY));
    rows.delete(CHECKPOINT_KEY);
    const merged = rows.get(MERGE_KEY);
    const trim = readTrim(rows.get(TRIM_KEY));
    const swept = rows.get(SWEPT_KEY);
    rows.delete(TRIM_KEY);
    rows.delete(SWEPT_KEY);
    Object.assign(this.settings, readConfig(rows.get(CONFIG_KEY)));
    this.#log.minPosition = trim.position;
    this.#trimmer.restore(trim);
    this.#sweeper.restore(swept);
    const loss = readLoss(rows.get(LOSS_KEY));
    this.#state.restore(rows);
    this.#deletions.restore();
    this.groupConfigs.restore();
    this.#offsets.restore();
    this.#finished.restore();
    const { newLoss, ...report } = await recover({
      store, indexer, queues: this.#queues, keys: this.#keys, checkpoint, trim, rows: (position) => this.#log.rows(position),
      loss, judge: (position) => afterEarlier(judgeLoss({ epoch, position }, witness), loss, trim.position),
      isDeleted: (topic, queueId, queueOffset) => this.#deletions.hides(topic, queueId, queueOffset),
      onReplayed: (table, bytes, position) => this.#finishAgain(table, bytes, position),
    });
    this.#keys.dropBefore(trim.position);
    this.#log.open(report.position);
    this.#deletions.reopened(report.position);
    this.#queues.firstOffset = Math.max(this.#queues.firstOffset, this.#deletions.floor);
    this.#log.gapEnds = gapEnds(newLoss ?? loss);
    this.#merger.restore(merged);
    const isCovered = report.replayed === 0 && report.damaged.length === 0 && newLoss === null;
    this.#checkpoint.restore(isCovered ? report.position : (checkpoint?.position ?? 0));
    this.#commit.checkpointWhenIdle();
    this.#retention.start();
    // Before anybody is served, because the next start may be without a witness. A full store must not keep it from starting.
    if (newLoss !== null) await this.#state.save(LOSS_KEY, newLoss).catch(() => {});
    this.topics.restore(this.#queues);
    this.topics.onChanged = (topic) => this.groups.topicChanged(topic);
    this.#traces.start();
    this.#startServices();
    this.pops.start();
    this.removals.start();
    this.#recovered = { loss: newLoss?.kind ?? "none", lastKnownPosition: witness?.position ?? null, ...report, tookMs: clock.now() - began };
    for (const range of report.damaged) this.#reportDamage(range);
  }

  /** Of what the log holds. */
  #startServices(): void {
    this.#schedule.start();
    this.#halves.start();
  }

  /** What was finished by records behind the checkpoint may not be stored yet. */
  #finishAgain({ count, at }: ScannedTable, bytes: Uint8Array, position: number): void {
    for (let index = 0; index < count; index++) {
      const finish = finishOf(bytes, at[index]!);
      if (finish !== null) this.#offsets.finish(finish, position + at[index]!);
      const completion = completionOf(bytes, at[index]!);
      if (completion !== null) this.completions.take(completion, position + at[index]!);
    }
  }

  #reportDamage(range: DamagedRange): void {
    if (this.#damaged.some((known) => known.position === range.position && known.reason === range.reason)) return;
    if (this.#damaged.length < MAX_DAMAGE_REPORTS) this.#damaged.push(range);
  }

  #fail(error: MQError): void {
    this.#commit.stop(error);
    this.#end.resolve(error);
  }

  #stop(): void {
    this.#retention.stop();
    this.removals.stop();
    this.flushes.stop();
    this.#schedule.stop();
    this.fetches.stop();
    this.pops.stop();
    this.groups.stop();
    this.inboxes.stop();
    this.requests.stop();
    this.transactionChecks.stop();
    this.#halves.stop();
    for (const session of this.sessions) {
      session.closed = true;
      session.onEnd();
    }
    this.#environment.store.close();
  }
}

/** What an admin has changed; nothing when it was written by a version that knew other limits. */
function readConfig(row: unknown): object {
  try {
    return row === undefined ? {} : mutableSettings(row, "config");
  } catch {
    return {};
  }
}
