import { disordered, lost, type Stored } from "../support/history.ts";
import { Consumers } from "./consumers.ts";
import { DLQ_TOPIC_PREFIX } from "../../src/model/names.ts";
import { Disturbances } from "./disturbances.ts";
import { holes } from "./holes.ts";
import { identities } from "./identities.ts";
import { latecomers } from "./latecomers.ts";
import { orderOfQueues } from "./order-checker.ts";
import { refusals } from "./refusals.ts";
import { copiesByPlace, placeAfter, retries } from "./retry-checkers.ts";
import { entriesOf, type FaultKind, type History, type Of, placeOf, type QueueName } from "./history.ts";
import { beginAfter, losses, takenFrom } from "./losses.ts";
import type { Plan } from "./plan.ts";
import { givenAgain } from "./idempotence-checker.ts";
import { starved } from "./starved.ts";
import { surrenders } from "./surrenders.ts";

/** What breaks a promise. */
export type VerdictKind =
  | "lost" | "phantom" | "acknowledged too early" | "changed" | "duplicate without cause" | "stored twice" | "reordered"
  | "double owner" | "offset went back" | "offset beyond the end" | "position reused" | "offset reused" | "stale writer"
  | "skipped silently" | "removed too much" | "begin went back" | "delivered although gone"
  | "out of order" | "moved twice" | "delivered although finished" | "delivered early" | "given again"
  | "rejected and stored" | "msgId used twice" | "offset left out" | "late" | "unsound store"
  | "given up without a failure" | "given up although consumed" | "given up too early" | "given up too late"
  | "unwanted" | "claimed twice" | "not given since the reset"
  | "visible twice" | "timer lost" | "recalled and delivered" | "visible without commit" | "commit lost" | "nothing came of it"
  | "unreported loss" | "loss made up" | "unreported damage" | "starved" | "hung call" | "not at rest" | "undelivered" | "index differs from log";

export interface Verdict {
  kind: VerdictKind;
  text: string;
}

/** All checks over one history. Each is a pure function of its own; an empty list is good. */
export function judge(history: History, plan: Pick<Plan, "groups" | "duration" | "work" | "listenerFails" | "maxReconsumeTimes" | "builds">): Verdict[] {
  return [
    ...acknowledgements(history),
    ...storage(history),
    ...storedTwice(history),
    ...sendOrder(history),
    ...deliveries(history),
    ...deliveryOrder(history, plan),
    ...duplicates(history),
    ...owners(history),
    ...storedOffsets(history),
    ...calls(history),
    ...restedWorld(history),
    ...undelivered(history, plan),
    ...removals(history),
    ...behindBegins(history),
    ...retries(history),
    ...losses(history),
    ...starved(history, plan),
    ...orderOfQueues(history, plan),
    ...givenAgain(history, plan),
    ...refusals(history),
    ...identities(history),
    ...holes(history),
    ...surrenders(history, plan),
    ...latecomers(history, plan),
  ];
}

/** An acknowledged message is on disk, as it was sent, where the answer says, before the answer comes; and it stays there. */
export function acknowledgements(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const stored = new Map<string, Of<"stored">["record"]>();
  for (const entry of history) {
    if (entry.type === "stored") stored.set(placeOf(entry.record), entry.record);
    if (entry.type !== "acked") continue;
    for (const message of entry.messages) {
      const there = stored.get(placeOf(message));
      if (there === undefined) verdicts.push({ kind: "acknowledged too early", text: `${placeOf(message)} ${message.content} at ${entry.at}` });
      else if (there.msgId !== message.msgId || there.content !== message.content) {
        verdicts.push({ kind: "changed", text: `${placeOf(message)}: ${message.content} was sent, ${there.content} is stored` });
      }
    }
  }
  const acked = entriesOf(history, "acked").flatMap(({ messages }) => messages);
  const isTaken = takenFrom(history);
  const isGone = removedFrom(history);
  const kept = acked.filter((message) => !isGone(placeOf(message)) && !isTaken(placeOf(message)));
  for (const rest of entriesOf(history, "rest")) verdicts.push(...lost(kept, rest.readable).map((text): Verdict => ({ kind: "lost", text })));
  return verdicts;
}

/** Neither a position of the log nor an offset of a queue is given twice, and nobody writes who has been replaced. */
export function storage(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const places = new Set<string>();
  let end = 0;
  let epoch = 0;
  for (const entry of history) {
    if (entry.type === "epoch") epoch = entry.epoch;
    if ((entry.type === "stored" || entry.type === "offset stored") && entry.epoch !== epoch) {
      verdicts.push({ kind: "stale writer", text: `epoch ${entry.epoch} writes in epoch ${epoch} at ${entry.at}` });
    }
    if (entry.type !== "stored") continue;
    const place = placeOf(entry.record);
    if (places.has(place)) verdicts.push({ kind: "offset reused", text: `${place} by ${entry.record.content} at ${entry.at}` });
    places.add(place);
    if (entry.position < end) verdicts.push({ kind: "position reused", text: `${entry.position} by ${place} at ${entry.at}; the log had reached ${end}` });
    end = Math.max(end, entry.end);
  }
  return verdicts;
}

/** A content is stored once, however often it is sent: what was sent before is found. Unless it is not there any more, or cannot be read. */
export function storedTwice(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const sent = new Map<string, Of<"sent">>();
  /** Where what is no more in the log ended, and whether what is there can be read. */
  let isDamaged = false;
  let begin = 0;
  const first = new Map<string, Of<"stored">>();
  for (const entry of history) {
    if (entry.type === "damaged" || (entry.type === "fault" && entry.kind === "read failed")) isDamaged = true;
    if (entry.type === "removed") begin = Math.max(begin, entry.position);
    if (entry.type === "tail lost") for (const [content, { position }] of first) if (position >= entry.position) first.delete(content);
    if (entry.type === "sent") for (const content of entry.contents) if (!sent.has(content)) sent.set(content, entry);
    // A copy that takes the place of another message is judged by what it takes the place of.
    if (entry.type !== "stored" || entry.finishes !== undefined) continue;
    const { content, msgId } = entry.record;
    const earlier = first.get(content);
    const origin = sent.get(content);
    if (origin === undefined) verdicts.push({ kind: "phantom", text: `${placeOf(entry.record)} ${content} was never sent` });
    if (earlier === undefined) {
      first.set(content, entry);
      continue;
    }
    if (earlier.record.msgId !== msgId) verdicts.push({ kind: "changed", text: `${content} is stored as ${earlier.record.msgId} and as ${msgId}` });
    else if (!isDamaged && earlier.position >= begin) verdicts.push({ kind: "stored twice", text: `${content} at ${placeOf(earlier.record)} and ${placeOf(entry.record)}` });
  }
  return verdicts;
}

/** What one producer sends to one queue is acknowledged at rising offsets. */
export function sendOrder(history: History): Verdict[] {
  // One that its application has sent again stands where either of its sends has put it.
  const again = new Set(entriesOf(history, "sent").flatMap((entry) => (entry.again ? entry.contents : [])));
  const acked = entriesOf(history, "acked").flatMap(({ messages }) => messages).filter(({ content }) => !again.has(content));
  return disordered(acked, ({ number }) => number).map((text) => ({ kind: "reordered", text }));
}

/** Whatever a listener sees is on disk by then, and is what is on disk. */
export function deliveries(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const stored = new Map<string, Of<"stored">["record"]>();
  for (const entry of history) {
    if (entry.type === "stored") stored.set(placeOf(entry.record), entry.record);
    if (entry.type !== "delivered") continue;
    const { message } = entry;
    const there = stored.get(placeOf(message));
    const isGenuine = there?.msgId === message.msgId && there.content === message.content;
    if (!isGenuine) verdicts.push({ kind: "phantom", text: `${placeOf(message)} ${message.content} to ${entry.consumer} at ${entry.at}` });
  }
  return verdicts;
}

/** One consumer gets a queue's messages at rising offsets, as long as it keeps the queue; what failed comes again. */
export function deliveryOrder(history: History, { groups }: Pick<Plan, "groups"> = { groups: [] }): Verdict[] {
  const verdicts: Verdict[] = [];
  // A message whose key is in another's hand lets those behind it go first.
  const overtaking = new Set(groups.filter((plan) => plan.idempotent).map(({ group }) => group));
  const last = new Map<string, number>();
  for (const entry of history) {
    if (entry.type === "rebalanced") for (const queue of [...entry.assigned, ...entry.revoked]) last.delete(`${entry.consumer} ${queue}`);
    if (entry.type === "sought") last.delete(`${entry.consumer} ${entry.queue}`);
    if (entry.type !== "delivered" || entry.attempt > 1) continue;
    const { topic, queueId, queueOffset } = entry.message;
    if (entry.group === SEEKERS || overtaking.has(entry.group)) continue;
    const key = `${entry.consumer} ${topic}:${queueId}`;
    const before = last.get(key);
    if (before !== undefined && queueOffset <= before) verdicts.push({ kind: "reordered", text: `${entry.consumer} gets ${placeOf(entry.message)} after ${before}` });
    last.set(key, queueOffset);
  }
  return verdicts;
}

/** A group that jumps back and forth on purpose. */
const SEEKERS = "seekers";

const HOST_FAULTS: FaultKind[] = ["host killed", "host paused", "writer lock stolen", "commit failed", "commit misreported", "store lost"];
const TAB_FAULTS: FaultKind[] = ["tab crashed", "tab frozen", "tab hidden", "tab closed"];

/** A group gets a message again only if the first to get it failed, was disturbed, or left; never after its offset was stored. */
export function duplicates(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  const view = new Consumers();
  const latest = new Map<string, Of<"delivered">>();
  const committed = new Map<string, { offset: number; at: number }[]>();
  for (const entry of history) {
    view.hear(entry);
    if (entry.type === "offset stored") {
      const key = `${entry.group} ${entry.topic}:${entry.queueId}`;
      const list = committed.get(key) ?? [];
      committed.set(key, list);
      list.push({ offset: entry.offset, at: entry.at });
    }
    if (entry.type !== "delivered" || entry.group === SEEKERS) continue;
    const place = `${entry.group} ${placeOf(entry.message)}`;
    const before = latest.get(place);
    latest.set(place, entry);
    if (before === undefined) continue;
    const [tabBefore, tabNow] = [view.tabOf(before.consumer), view.tabOf(entry.consumer)];
    const isDisturbed =
      faults.any(before.at, entry.at, HOST_FAULTS) || faults.any(before.at, entry.at, TAB_FAULTS, tabBefore) || faults.any(before.at, entry.at, TAB_FAULTS, tabNow);
    const end = view.endOf(before);
    const hasCause = isDisturbed || end === "failed" || view.mayHoldBack(before) || view.wasAbandoned(before);
    if (!hasCause) {
      verdicts.push({ kind: "duplicate without cause", text: `${place} to ${before.consumer} at ${before.at} (${end}) and ${entry.consumer} at ${entry.at}` });
      continue;
    }
    // Once its offset is stored, only somebody who has slept through it can still hold the message.
    const { topic, queueId, queueOffset } = entry.message;
    const passed = committed.get(`${entry.group} ${topic}:${queueId}`)?.find(({ offset }) => offset > queueOffset);
    if (passed !== undefined && !faults.any(passed.at, entry.at, [...TAB_FAULTS, "messages slow", "timers throttled"], tabNow) && !faults.any(passed.at, entry.at, [...HOST_FAULTS, "messages slow"])) {
      verdicts.push({ kind: "duplicate without cause", text: `${place} to ${entry.consumer} at ${entry.at}, its offset stored since ${passed.at}` });
    }
  }
  return verdicts;
}

/** No two members of a group work on one queue at the same time, unless one of them could not know. */
export function owners(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  const view = new Consumers();
  /** group and queue -> what is being worked on */
  const busy = new Map<string, Map<number, Of<"delivered">>>();
  const keyOfDelivery = new Map<number, string>();
  for (const entry of history) {
    view.hear(entry);
    if (entry.type === "consumed") busy.get(keyOfDelivery.get(entry.delivery) ?? "")?.delete(entry.delivery);
    if (entry.type !== "delivered" || entry.group === SEEKERS) continue;
    const key = `${entry.group} ${entry.message.topic}:${entry.message.queueId}`;
    const others = busy.get(key) ?? new Map<number, Of<"delivered">>();
    busy.set(key, others);
    for (const other of others.values()) {
      if (other.consumer === entry.consumer || view.hasLeft(other.consumer) || view.isPull(other.consumer)) continue;
      const isDisturbed =
        faults.any(other.at, entry.at, HOST_FAULTS) ||
        [other, entry].some(({ consumer }) => faults.any(other.at, entry.at, TAB_FAULTS, view.tabOf(consumer)));
      if (!isDisturbed) verdicts.push({ kind: "double owner", text: `${key}: ${other.consumer} since ${other.at} and ${entry.consumer} at ${entry.at}` });
    }
    others.set(entry.delivery, entry);
    keyOfDelivery.set(entry.delivery, key);
  }
  return verdicts;
}

/** A group's stored offset only rises, and never beyond what is stored. */
export function storedOffsets(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  let reached = new Map<string, number>();
  const ends = new Map<string, number>();
  /** Where empty queues begin after a loss, and all go on after a lost tail, only the broker knows, until a message is there. */
  let unknown = 0;
  let isDamaged = false;
  const isTaken = takenFrom(history);
  for (const entry of history) {
    if (entry.type === "tail lost") {
      reached = new Map(Object.entries(entry.offsets));
      ends.clear();
      unknown = Infinity;
    }
    if (entry.type === "damaged") {
      unknown = Infinity;
      isDamaged = true;
    }
    // A start that cannot read all leaves offsets out, so that none is used twice.
    if (entry.type === "epoch" && isDamaged) ends.clear();
    if (entry.type === "stored") ends.set(`${entry.record.topic}:${entry.record.queueId}`, entry.record.queueOffset + 1);
    if (entry.type !== "offset stored" || entry.group === SEEKERS) continue;
    const queue = `${entry.topic}:${entry.queueId}`;
    const key = `${entry.group} ${queue}`;
    const before = reached.get(key) ?? 0;
    // Back to where the queue ends now that its end cannot be read: nothing is given again for that.
    const isAgain = (record: Stored): boolean => `${record.topic}:${record.queueId}` === queue && record.queueOffset >= entry.offset && record.queueOffset < before && !isTaken(placeOf(record));
    if (entry.offset < before && (!isDamaged || entriesOf(history, "stored").some(({ record }) => isAgain(record)))) verdicts.push({ kind: "offset went back", text: `${key} from ${before} to ${entry.offset} at ${entry.at}` });
    if (entry.offset > (ends.get(queue) ?? unknown)) verdicts.push({ kind: "offset beyond the end", text: `${key} at ${entry.offset}, the queue ends at ${ends.get(queue) ?? 0}` });
    reached.set(key, entry.offset);
  }
  return verdicts;
}

/** Every call settles within its time; a frozen tab's clock stands still, a dead one's calls are nobody's. */
export function calls(history: History): Verdict[] {
  const settled = new Map(entriesOf(history, "settled").map((entry) => [entry.call, entry]));
  const died = new Map(entriesOf(history, "fault").filter(({ kind }) => kind === "tab crashed").map(({ agent, at }) => [agent, at]));
  return entriesOf(history, "call").flatMap(({ call, tab, what, limit, at }): Verdict[] => {
    const end = settled.get(call);
    if (end === undefined) return died.has(tab) ? [] : [{ kind: "hung call", text: `${what} of ${tab} at ${at} has not settled` }];
    const took = end.at - at - end.frozen;
    return took <= limit ? [] : [{ kind: "hung call", text: `${what} of ${tab} at ${at} took ${Math.round(took)} ms; its limit is ${limit}` }];
  });
}

/** Healed, the world comes to rest, and what can be read is what the log holds. */
export function restedWorld(history: History): Verdict[] {
  return entriesOf(history, "rest").flatMap(({ isReached, backlogs, readable, rebuilt, lookedAt }) => {
    const verdicts: Verdict[] = [];
    if (!isReached) verdicts.push({ kind: "not at rest", text: "ten minutes after all was healed there is still something to do" });
    for (const [group, diff] of Object.entries(backlogs)) if (diff !== 0) verdicts.push({ kind: "not at rest", text: `group ${group} is ${diff} behind` });
    if (!isReached) return verdicts;
    const describe = (list: typeof readable): Map<string, string> => new Map(list.map((message) => [placeOf(message), `${message.msgId} ${message.content}`]));
    const [shown, held] = [describe(readable), describe(rebuilt)];
    for (const [place, message] of held) {
      if (shown.get(place) !== message) verdicts.push({ kind: "index differs from log", text: `${place}: the log holds ${message}, a reader gets ${shown.get(place) ?? "nothing"}` });
    }
    const isGone = removedFrom(history);
    const isCutSince = entriesOf(history, "removed").some(({ at }) => at >= lookedAt);
    for (const place of shown.keys()) if (!held.has(place) && !(isCutSince && isGone(place))) verdicts.push({ kind: "index differs from log", text: `${place} is not in the log` });
    return verdicts;
  });
}

/** In the end each group has consumed whatever is stored and matches its subscription, at once or in the end; or has given it up, and it is a dead letter. */
export function undelivered(history: History, { groups }: Pick<Plan, "groups">): Verdict[] {
  if (entriesOf(history, "rest").length === 0) return [];
  const done = new Set(entriesOf(history, "consumed").filter(({ isOk }) => isOk).map(({ delivery }) => delivery));
  const isTaken = takenFrom(history);
  const consumed = entriesOf(history, "delivered").filter(({ delivery }) => done.has(delivery));
  const got = new Set(consumed.map(({ group, message }) => `${group} ${placeOf(message)}`));
  // Of these groups, whichever copy of a message.
  const idempotent = new Set(groups.filter((plan) => plan.idempotent).map(({ group }) => group));
  const finished = new Set(consumed.filter(({ group }) => idempotent.has(group)).map(({ group, message }) => `${group} ${message.msgId}`));
  const isGone = removedFrom(history);
  const moves = entriesOf(history, "moved");
  // A group that never had an offset there begins where the queue begins.
  const places = new Set(entriesOf(history, "offset stored").map((entry) => `${entry.group} ${entry.topic}:${entry.queueId}`));
  const copies = copiesByPlace(history);
  // A copy that was deleted because of its age, or for want of room, is counted with what was.
  const ends = (place: string, { record }: Of<"stored">): boolean => record.topic.startsWith(DLQ_TOPIC_PREFIX) || isGone(placeOf(record)) || isTaken(placeOf(record)) || isOver(placeAfter(place, record));
  const isOver = (place: string): boolean => got.has(place) || (copies.get(place) ?? []).some((copy) => ends(place, copy));
  return groups.flatMap(({ group, subscriptions }) =>
    entriesOf(history, "stored").flatMap(({ record, tags }): Verdict[] => {
      const expression = subscriptions[record.topic];
      const isWanted = expression !== undefined && (expression === "*" || expression.split(" || ").includes(tags));
      if (!isWanted || isTaken(placeOf(record)) || finished.has(`${group} ${record.msgId}`) || isOver(`${group} ${placeOf(record)}`)) return [];
      if (isGone(placeOf(record))) {
        const hadPlace = places.has(`${group} ${record.topic}:${record.queueId}`);
        const isTold = !hadPlace || moves.some((move) => move.group === group && move.queue === `${record.topic}:${record.queueId}` && move.from <= record.queueOffset && record.queueOffset < move.to);
        return isTold ? [] : [{ kind: "skipped silently", text: `${group} never consumed ${placeOf(record)} ${record.content}, it is gone, and nobody was told` }];
      }
      return [{ kind: "undelivered", text: `${group} never consumed ${placeOf(record)} ${record.content}` }];
    }),
  );
}

/** Was the message at a place removed by a cut of the log? */
function removedFrom(history: History): (place: string) => boolean {
  const begin = beginAfter(history);
  const gone = new Set(entriesOf(history, "stored").filter(({ position }) => position < begin).map(({ record }) => placeOf(record)));
  return (place) => gone.has(place);
}

/** A cut takes the oldest, and the queues begin where it says: behind what has gone, not behind what is left, and never before. */
export function removals(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const stored: Of<"stored">[] = [];
  const begins = new Map<string, number>();
  const isTaken = takenFrom(history);
  let [cut, epoch] = [0, 0];
  for (const entry of history) {
    if (entry.type === "stored") stored.push(entry);
    if (entry.type === "epoch") epoch = entry.epoch;
    if (entry.type === "tail lost") {
      cut = entry.begin;
      begins.clear();
      for (const [queue, begin] of entry.begins) begins.set(queue, begin);
    }
    if (entry.type !== "removed") continue;
    if (entry.epoch !== epoch) verdicts.push({ kind: "stale writer", text: `epoch ${entry.epoch} removes in epoch ${epoch} at ${entry.at}` });
    if (entry.position < cut) verdicts.push({ kind: "begin went back", text: `the log from ${cut} to ${entry.position} at ${entry.at}` });
    cut = Math.max(cut, entry.position);
    for (const [queue, begin] of entry.begins) {
      if (begin < (begins.get(queue) ?? 0)) verdicts.push({ kind: "begin went back", text: `${queue} from ${begins.get(queue)!} to ${begin} at ${entry.at}` });
      begins.set(queue, begin);
    }
    for (const { record, position } of stored) {
      const begin = begins.get(`${record.topic}:${record.queueId}`) ?? 0;
      // What cannot be read, a queue may begin behind.
      if (position >= cut && record.queueOffset < begin && !isTaken(placeOf(record))) verdicts.push({ kind: "removed too much", text: `${placeOf(record)} is in the log, its queue begins at ${begin}, at ${entry.at}` });
    }
  }
  return verdicts;
}

/** What somebody has been told to be gone does not come back: no tab is told of an earlier begin, and no consumer gets what was before. */
export function behindBegins(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  /** Where a queue begins, as somebody has been told, and when; and the same for each tab, and each consumer. */
  let told = new Map<QueueName, { begin: number; at: number }>();
  let byTab = new Map<string, number>();
  let byConsumer = new Map<string, { from: number; to: number }>();
  const since = new Map<string, number>();
  const hear = (queue: QueueName, begin: number, at: number): void => {
    if (begin > (told.get(queue)?.begin ?? 0)) told.set(queue, { begin, at });
  };
  for (const entry of history) {
    // The browser may have taken the cut back.
    if (entry.type === "tail lost") [told, byTab, byConsumer] = [new Map(), new Map(), new Map()];
    if (entry.type === "begins told") {
      for (const [queue, begin] of entry.begins) {
        const key = `${entry.tab} ${queue}`;
        if (begin < (byTab.get(key) ?? 0)) verdicts.push({ kind: "begin went back", text: `${entry.tab} was told that ${queue} begins at ${byTab.get(key)!}, and at ${entry.at} that it begins at ${begin}` });
        byTab.set(key, begin);
        hear(queue, begin, entry.at);
      }
    }
    if (entry.type === "moved") {
      byConsumer.set(`${entry.consumer} ${entry.queue}`, entry);
      hear(entry.queue, entry.to, entry.at);
    }
    if (entry.type === "rebalanced") {
      for (const queue of [...entry.assigned, ...entry.revoked]) byConsumer.delete(`${entry.consumer} ${queue}`);
      for (const queue of entry.assigned) since.set(`${entry.consumer} ${queue}`, entry.at);
    }
    if (entry.type !== "delivered") continue;
    const { consumer, at, message: { topic, queueId, queueOffset } } = entry;
    const queue = `${topic}:${queueId}`;
    const begin = told.get(queue);
    const moved = byConsumer.get(`${consumer} ${queue}`);
    if (moved !== undefined && moved.from <= queueOffset && queueOffset < moved.to) {
      verdicts.push({ kind: "delivered although gone", text: `${placeOf(entry.message)} to ${consumer} at ${at}, who was moved from ${moved.from} to ${moved.to}` });
    }
    // Whoever has held the queue for longer may have it from before.
    const isAfter = begin !== undefined && queueOffset < begin.begin && (since.get(`${consumer} ${queue}`) ?? 0) > begin.at && !faults.any(begin.at, at, HOST_FAULTS);
    if (isAfter) verdicts.push({ kind: "delivered although gone", text: `${placeOf(entry.message)} to ${consumer} at ${at}; that ${queue} begins at ${begin.begin} was told at ${begin.at}` });
  }
  return verdicts;
}
