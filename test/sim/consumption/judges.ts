import { DLQ_TOPIC_PREFIX } from "../../../src/model/names.ts";
import type { Stored } from "../../support/history.ts";
import { calls, type Verdict } from "../checkers.ts";
import { entriesOf, type History, type Of, placeOf, type QueueName } from "../history.ts";
import { Claims } from "./claims.ts";
import { TOPIC, WANTED } from "./members.ts";
import type { Consumers, ConsumptionPlan } from "./plan.ts";
import { GRACE, queueOf, Resets } from "./resets.ts";

/** A message in a consumer's hands: somewhere between `asked` and `at` the broker gave it. */
export interface Given {
  asked: number;
  at: number;
  consumer: string;
  message: Stored;
  /** Those of one call of a listener have the same. */
  batch: number;
}

/** When a consumer was done with a message: somewhere between. */
export interface Finished {
  from: number;
  to: number;
  message: Stored;
  batch: number;
  /** It was answered. */
  isSure: boolean;
}

/** All that is known of one group. */
interface Story {
  group: Consumers;
  wanted: Of<"stored">[];
  given: Given[];
  finished: Finished[];
  /** By msgId. */
  dead: Map<string, number>;
  /** Since when a copy stands elsewhere: by the place that it takes. */
  moved: Map<string, number>;
  resets: Resets;
}

/** All checks over one history; an empty list is good. */
export function judge(history: History, plan: ConsumptionPlan): Verdict[] {
  const claims = new Claims(history);
  const isCalm = plan.hostKills + plan.tabCrashes + plan.comings === 0;
  return [
    ...calls(history),
    ...entriesOf(history, "rest").filter(({ isReached }) => !isReached).map((): Verdict => ({ kind: "not at rest", text: "long after all was healed there is still something to do" })),
    ...plan.groups.flatMap((group): Verdict[] => {
      const story = storyOf(history, group, claims);
      const { kind } = group;
      return [
        ...genuine(history, story),
        ...(kind === "broadcasting" ? everybody(history, story) : nothingLost(story)),
        ...(kind === "broadcasting" ? [] : finishedOnce(story, plan)),
        ...(kind === "orderly" || kind === "simple" ? inOrder(history, story) : []),
        ...(kind === "orderly" && plan.hostKills === 0 ? oneAtATime(history, story) : []),
        ...(kind === "simple" ? claims.overlaps(group.group, story.resets) : []),
        ...(isCalm && kind === "simple" ? patient(story) : []),
      ];
    }),
  ];
}

function storyOf(history: History, group: Consumers, claims: Claims): Story {
  const name = group.group;
  const stored = entriesOf(history, "stored");
  const delivered = new Map(entriesOf(history, "delivered").filter((entry) => entry.group === name).map((entry) => [entry.delivery, entry]));
  const given = [...delivered.values()].map(({ at, consumer, message, batch }): Given => ({ asked: at, at, consumer, message, batch: batch! }));
  const finished = entriesOf(history, "consumed").flatMap(({ at, delivery, isOk }): Finished[] => {
    const entry = delivered.get(delivery);
    return entry === undefined || !isOk ? [] : [{ from: at, to: at, message: entry.message, batch: entry.batch!, isSure: true }];
  });
  const ofClaims = claims.of(name);
  return {
    group,
    wanted: stored.filter(({ record, tags }) => record.topic === TOPIC && (group.filter === "*" || tags === WANTED)),
    given: [...given, ...ofClaims.flatMap(({ given: one }) => one)],
    finished: [...finished, ...ofClaims.flatMap(({ finished: one }) => one ?? [])],
    dead: new Map(stored.filter(({ record }) => record.topic === DLQ_TOPIC_PREFIX + name).map(({ at, record }) => [record.msgId, at])),
    moved: new Map(stored.map(({ at, finishes = "" }) => [finishes, at])),
    resets: new Resets(history, name),
  };
}

/** What a consumer gets is on disk, as it gets it, and passes its filter. */
function genuine(history: History, { group, given }: Story): Verdict[] {
  const stored = new Map(entriesOf(history, "stored").map((entry) => [placeOf(entry.record), entry]));
  return given.flatMap(({ at, consumer, message }): Verdict[] => {
    const there = stored.get(placeOf(message));
    if (there === undefined || there.at > at || there.record.msgId !== message.msgId || there.record.content !== message.content) return [{ kind: "phantom", text: `${placeOf(message)} to ${consumer} at ${at}` }];
    return group.filter === "*" || there.tags === WANTED ? [] : [{ kind: "unwanted", text: `${placeOf(message)} ${there.tags} to ${consumer} at ${at}` }];
  });
}

/** What a group wants and was not moved past is consumed or a dead letter; after the last move, from there on, once more. */
function nothingLost({ group, wanted, given, finished, dead, moved, resets }: Story): Verdict[] {
  const lastGiven = new Map<string, number>();
  for (const { at, message } of given) lastGiven.set(placeOf(message), Math.max(at, lastGiven.get(placeOf(message)) ?? 0));
  const lastFinished = new Map<string, number>(dead);
  for (const { to, message } of finished) lastFinished.set(message.msgId, Math.max(to, lastFinished.get(message.msgId) ?? 0));
  return wanted.flatMap(({ record }): Verdict[] => {
    const { floor, since } = resets.last(queueOf(record));
    if (record.queueOffset < floor) return [];
    const last = Math.max(
      lastGiven.get(placeOf(record)) ?? -1,
      // A copy was on its way when the group was moved, and is there instead; or whoever it was given to, and has made it a dead letter, died before it arrived.
      moved.get(`${group.group} ${placeOf(record)}`) ?? -1,
    );
    if (last < since) return [{ kind: since > 0 ? "not given since the reset" : "undelivered", text: `${group.group} was not given ${placeOf(record)} after ${since}` }];
    return (lastFinished.get(record.msgId) ?? -1) >= since ? [] : [{ kind: "undelivered", text: `${group.group} never consumed ${placeOf(record)} after ${since}` }];
  });
}

/** Who broadcasts gives all to each that stays. */
function everybody(history: History, { group, wanted, given }: Story): Verdict[] {
  const crashed = new Set(entriesOf(history, "fault").filter(({ kind }) => kind === "tab crashed").map(({ agent }) => agent));
  const rest = entriesOf(history, "rest")[0]!.at;
  const left = new Map(entriesOf(history, "leaving").map(({ consumer, at }) => [consumer, at]));
  const end = Math.max(0, ...wanted.map(({ at }) => at));
  // Those who leave when all is over have had the time.
  const stayed = entriesOf(history, "joined").filter(({ group: name, consumer, tab }) => name === group.group && !crashed.has(tab) && (left.get(consumer) ?? rest) > end + GRACE);
  return stayed.flatMap(({ consumer }): Verdict[] => {
    const had = new Set(given.filter((one) => one.consumer === consumer).map(({ message }) => placeOf(message)));
    return wanted.filter(({ record }) => !had.has(placeOf(record))).map(({ record }): Verdict => ({ kind: "undelivered", text: `${consumer} never got ${placeOf(record)}` }));
  });
}

/** What an acknowledgement was answered for is not given again, nor, in a world without deaths, what a listener has finished; unless the group is moved. */
function finishedOnce({ group, given, finished, resets }: Story, plan: ConsumptionPlan): Verdict[] {
  if (group.kind !== "simple" && plan.hostKills + plan.tabCrashes > 0) return [];
  const byPlace = new Map<string, Given[]>();
  for (const one of given) byPlace.set(placeOf(one.message), [...(byPlace.get(placeOf(one.message)) ?? []), one]);
  return finished.filter(({ isSure }) => isSure).flatMap(({ from, to, message }) =>
    (byPlace.get(placeOf(message)) ?? [])
      .filter(({ asked, at }) => asked > to && !resets.touches(queueOf(message), from - GRACE, at))
      .map(({ consumer, at }): Verdict => ({ kind: "delivered although finished", text: `${placeOf(message)} to ${consumer} at ${at}, finished since ${to}` })),
  );
}

/** An orderly group, and a simple one within a messageGroup, begins with a message when those before it are finished, or are dead letters. */
function inOrder(history: History, { group, wanted, given, finished, dead, resets }: Story): Verdict[] {
  const messageGroups = new Map(entriesOf(history, "grouped").map(({ msgId, messageGroup }) => [msgId, messageGroup]));
  const rowOf = (message: Stored): string | null => {
    if (group.kind === "orderly") return queueOf(message);
    const messageGroup = messageGroups.get(message.msgId);
    return messageGroup === undefined ? null : `${queueOf(message)} ${messageGroup}`;
  };
  const rows = new Map<string, Stored[]>();
  for (const { record } of wanted) {
    const row = rowOf(record);
    if (row !== null) rows.set(row, [...(rows.get(row) ?? []), record]);
  }
  const endings = new Map<string, Finished[]>();
  for (const one of finished) endings.set(placeOf(one.message), [...(endings.get(placeOf(one.message)) ?? []), one]);
  const batches = new Map<number, Set<string>>();
  for (const { batch, message } of given) batches.set(batch, (batches.get(batch) ?? new Set<string>()).add(placeOf(message)));
  return given.flatMap(({ asked, at, consumer, message, batch }): Verdict[] => {
    const row = message.topic === TOPIC ? rowOf(message) : null;
    const moved = resets.before(queueOf(message), asked, at);
    if (row === null || moved === null) return [];
    const { floor, since } = moved;
    const open = rows.get(row)!.find((earlier) => {
      if (earlier.queueOffset >= message.queueOffset || earlier.queueOffset < floor || dead.has(earlier.msgId) || batches.get(batch)!.has(placeOf(earlier))) return false;
      return !(endings.get(placeOf(earlier)) ?? []).some(({ from, to }) => from <= at && to >= since);
    });
    return open === undefined ? [] : [{ kind: "out of order", text: `${consumer} begins ${placeOf(message)} at ${at}, and ${placeOf(open)} is not finished` }];
  });
}

/** An orderly group works on a queue once at a time, whoever has it. */
function oneAtATime(history: History, { group, given }: Story): Verdict[] {
  const died = new Map(entriesOf(history, "fault").filter(({ kind }) => kind === "tab crashed").map(({ agent, at }) => [agent, at]));
  const ends = new Map(entriesOf(history, "consumed").map(({ delivery, at }) => [delivery, at]));
  const busy = new Map<QueueName, { until: number; batch: number; consumer: string }>();
  return given.flatMap(({ at, consumer, message, batch }): Verdict[] => {
    const queue = queueOf(message);
    const before = busy.get(queue);
    if (before?.batch === batch) return [];
    busy.set(queue, { batch, consumer, until: Math.min(ends.get(batch) ?? Infinity, died.get(consumer.split("/")[0]!) ?? Infinity) });
    return before === undefined || before.until <= at ? [] : [{ kind: "double owner", text: `${group.group} works on ${queue} as ${before.consumer} and as ${consumer} at ${at}` }];
  });
}

/** A dead letter was given as often as the group asks for. */
function patient({ group, dead, given }: Story): Verdict[] {
  return [...dead.keys()].flatMap((msgId): Verdict[] => {
    const times = given.filter(({ message }) => message.msgId === msgId).length;
    return times > group.maxReconsumeTimes ? [] : [{ kind: "given up too early", text: `${group.group} was given ${msgId} ${times} times, and not ${group.maxReconsumeTimes + 1}` }];
  });
}
