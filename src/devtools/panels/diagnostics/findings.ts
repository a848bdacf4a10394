import type { BrokerStats, ClientConnection, Diagnostics } from "../../../index.ts";
import type { Key } from "../../i18n/translate.ts";
import { pathTo } from "../../router.ts";
import { isQuotaKnown, quotaRule, usedShare } from "../broker/quota.ts";
import type { GroupState } from "./group-state.ts";

export const SEVERITIES = ["error", "warning", "note", "good"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** A value in a finding's text, written as the language writes it. */
export type Figure = string | number | { bytes: number } | { ms: number } | { share: number };

/** What it is about, one by one: a group, a setting, a range. */
interface Subject {
  name: string;
  /** Its figure, as a text of the catalogue. */
  note?: { key: Key; figures: Readonly<Record<string, Figure>> };
  to?: string;
}

export interface Finding {
  /** Its texts are `diagnostics.ID.title`, `.why`, and unless all is well `.mend`. */
  id: FindingId;
  severity: Severity;
  figures: Readonly<Record<string, Figure>>;
  subjects: readonly Subject[];
  /** Where it can be mended, or looked at. */
  to?: string;
}

export type BadId =
  | "full" | "refused" | "oldest" | "expired" | "quotaUnknown" | "memory" | "notPersisted" | "persistenceUnknown" | "relaxed" | "typescript" | "lossTotal" | "lossTail" | "damaged" | "lostSends"
  | "removedTimers" | "removed" | "noMember" | "disabled" | "stalled" | "growing" | "silent" | "deadLetters" | "transactions" | "configIgnored" | "violations" | "behind" | "singly" | "notEncrypted" | "traceDropped";
export type GoodId = "room" | "persisted" | "strict" | "wasm" | "whole" | "encrypted" | "consumed";
type FindingId = BadId | GoodId;

/** All that is known of a broker and what hangs on it. */
export interface Observation {
  report: Diagnostics;
  stats: BrokerStats;
  groups: readonly GroupState[];
  clients: readonly ClientConnection[];
  /** When it was asked, ms since 1970. */
  at: number;
}

/** Group lags are judged when they have been watched for so long, ms: the broker's rates are over ten seconds. */
export const WATCHED_LONG_ENOUGH = 10_000;
/** A lag that has grown by fewer messages is traffic. */
const GROWN = 10;
/** Checks that nobody has answered before it is said: tabs come and go. */
const MISSED_CHECKS = 3;
/** A consumer asks every fifteen seconds; a busy machine may be late, ms. */
const SILENT = 20_000;
/** Log that waits to be durable: more than a commit's worth, several times over. */
const BEHIND_BYTES = 16 * 2 ** 20;
/** Of fewer messages it does not matter how they came. */
const MANY = 1000;
/** Messages a commit, at least, with which nobody would be told to send otherwise. */
const MESSAGES_PER_COMMIT = 1.5;

/** What is wrong, how bad, and where it can be mended; the worst first. What is in order is said too. */
export function findings(observation: Observation): Finding[] {
  const found = [...ofStorage(observation), ...ofLosses(observation), ...ofRunning(observation), ...ofGroups(observation)];
  return found.sort((one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
}

function* ofStorage({ report }: Observation): Generator<Finding> {
  const { durability, persisted, broker } = report;
  if (durability === "memory") {
    yield bad("memory", "warning");
    return;
  }
  const share = usedShare(report);
  const rule = quotaRule(share);
  const figures = { share: { share } };
  if (rule === "refused") yield bad("full", "error", { figures, to: pathTo("broker") });
  else if (broker.storageFull) yield bad("refused", "error", { to: pathTo("broker") });
  else if (rule === "oldest") yield bad("oldest", "warning", { figures, to: pathTo("broker") });
  else if (rule === "expired") yield bad("expired", "note", { figures, to: pathTo("broker") });
  else if (isQuotaKnown(report)) yield good("room", figures);
  else if (broker.settings.maxStoreBytes === 0) yield bad("quotaUnknown", "note", { to: pathTo("broker", [], { setting: "maxStoreBytes" }) });

  if (persisted === undefined) yield bad("persistenceUnknown", "note");
  else yield persisted ? good("persisted") : bad("notPersisted", "warning", { to: pathTo("broker") });
  yield durability === "strict" ? good("strict") : bad("relaxed", "warning", { to: pathTo("broker", [], { setting: "flushDiskType" }) });
  yield broker.encrypted ? good("encrypted") : bad("notEncrypted", "note");
}

function* ofLosses({ report: { broker } }: Observation): Generator<Finding> {
  const { recovery, damaged, retention, lostSends } = broker;
  const lost: Finding[] = [];
  if (recovery.loss !== "none") lost.push(bad(recovery.loss === "total" ? "lossTotal" : "lossTail", "error", { figures: { position: recovery.lastKnownPosition ?? 0 }, to: pathTo("broker") }));
  const ranges = damaged.length + recovery.moreDamaged;
  if (ranges > 0) lost.push(bad("damaged", "error", { figures: { count: ranges, bytes: { bytes: damaged.reduce((sum, { bytes }) => sum + bytes, 0) } }, to: pathTo("broker") }));
  if (lostSends > 0) lost.push(bad("lostSends", "error", { figures: { count: lostSends } }));
  if (retention.removedTimers > 0) lost.push(bad("removedTimers", "error", { figures: { count: retention.removedTimers }, to: pathTo("timers") }));
  yield* lost.length > 0 ? lost : [good("whole")];
  if (retention.removedMessages > 0) {
    yield bad("removed", "note", { figures: { count: retention.removedMessages, bytes: { bytes: retention.removedBytes } }, to: pathTo("broker", [], { setting: "fileReservedTime" }) });
  }
}

function* ofRunning({ report: { broker, settings, ignored, trace }, stats }: Observation): Generator<Finding> {
  yield broker.indexer === "wasm" ? good("wasm") : bad("typescript", "note");
  const { pending, oldestAge } = broker.transactions;
  if (oldestAge > settings.transactionTimeout + MISSED_CHECKS * settings.transactionCheckInterval) {
    yield bad("transactions", "warning", { figures: { count: pending, age: { ms: oldestAge } }, to: pathTo("transactions") });
  }
  if (ignored.length > 0) {
    const subjects = ignored.map(({ name, asked, running }) => ({ name, note: { key: "diagnostics.asked" as const, figures: { asked: String(asked), running: String(running) } }, to: pathTo("broker", [], { setting: name }) }));
    yield bad("configIgnored", "warning", { figures: { count: ignored.length }, subjects });
  }
  if (broker.violations > 0) yield bad("violations", "warning", { figures: { count: broker.violations } });
  const waiting = broker.position - broker.durablePosition;
  if (waiting > BEHIND_BYTES) yield bad("behind", "warning", { figures: { bytes: { bytes: waiting } } });
  if (stats.putMessages >= MANY && stats.putMessages < stats.commits * MESSAGES_PER_COMMIT) yield bad("singly", "note", { figures: { count: stats.putMessages, commits: stats.commits } });
  if (trace.dropped > 0) yield bad("traceDropped", "note", { figures: { count: trace.dropped } });
}

function* ofGroups({ groups, clients, at }: Observation): Generator<Finding> {
  const about = (group: string, lag: number): Subject => ({ name: group, note: { key: "diagnostics.lag", figures: { count: lag } }, to: pathTo("groups", [group]) });
  const those = (id: BadId, severity: Severity, holds: (group: GroupState) => boolean, subject = ({ group, lag }: GroupState) => about(group, lag)): Finding[] => {
    const subjects = groups.filter(holds).toSorted((one, other) => other.lag - one.lag).map(subject);
    return subjects.length === 0 ? [] : [bad(id, severity, { figures: { count: subjects.length }, subjects, to: pathTo(id === "deadLetters" ? "dead-letters" : "groups") })];
  };
  const isWatched = ({ consumers, isEnabled, lag, watched }: GroupState): boolean => consumers > 0 && isEnabled && lag > 0 && watched >= WATCHED_LONG_ENOUGH;
  const isStalled = (group: GroupState): boolean => isWatched(group) && group.lagBefore > 0 && group.lag >= group.lagBefore && group.consumeTps === 0;
  const lagging = [
    ...those("noMember", "warning", ({ consumers, isEnabled, lag }) => isEnabled && consumers === 0 && lag > 0),
    ...those("stalled", "warning", isStalled),
    ...those("growing", "warning", (group) => isWatched(group) && !isStalled(group) && group.lag >= group.lagBefore + GROWN),
    ...those("disabled", "note", ({ isEnabled, lag }) => !isEnabled && lag > 0),
  ];
  yield* lagging;
  const silent = clients.filter(({ consumerGroups, lastCallTimestamp }) => consumerGroups.length > 0 && at - lastCallTimestamp > SILENT);
  if (silent.length > 0) {
    const subjects = silent.map(({ clientId, lastCallTimestamp, consumerGroups }) => ({ name: clientId, note: { key: "diagnostics.silentFor" as const, figures: { age: { ms: at - lastCallTimestamp }, groups: consumerGroups.join(", ") } } }));
    yield bad("silent", "note", { figures: { count: silent.length }, subjects, to: pathTo("groups") });
  }
  yield* those("deadLetters", "warning", ({ deadLetters }) => deadLetters > 0, ({ group, deadLetters, hasMoreDeadLetters }) => ({
    name: group, note: { key: hasMoreDeadLetters ? "diagnostics.lettersAtLeast" : "diagnostics.letters", figures: { count: deadLetters } }, to: pathTo("dead-letters", [group]),
  }));
  // A backlog that was seen a moment ago only may be one that is worked off, or not.
  if (groups.length > 0 && lagging.length === 0 && groups.every((group) => group.lag === 0 || isWatched(group))) yield good("consumed", { count: groups.length });
}

function bad(id: BadId, severity: Severity, { figures = {}, subjects = [], to }: { figures?: Finding["figures"]; subjects?: readonly Subject[]; to?: string } = {}): Finding {
  return { id, severity, figures, subjects, ...(to === undefined ? {} : { to }) };
}

function good(id: GoodId, figures: Finding["figures"] = {}): Finding {
  return { id, severity: "good", figures, subjects: [] };
}
