import type { TopicView } from "./topic-view.ts";

/** Messages that went from one place of the map to another between two answers. */
export interface Flow {
  from: string;
  to: string;
  count: number;
}

/** What a page knows beyond what the broker tells: only of its own tabs. */
export interface Witness {
  /** How many messages this tab has given to a producer for the topic. */
  sent: number;
  /** How many messages listeners did not consume, by client id. */
  failed: ReadonlyMap<string, number>;
}

export function senderPlace(clientId: string): string {
  return `sender:${clientId}`;
}

export function lanePlace(queueId: number): string {
  return `queue:${queueId}`;
}

export function memberPlace(clientId: string): string {
  return `member:${clientId}`;
}

interface Known {
  /** A moment ago: who has sent since then may have sent what is new. The answers are not of one instant. */
  since?: TopicView;
  /** Messages that listeners have not consumed, by client id. */
  failed?: readonly (readonly [clientId: string, count: number])[];
}

/** What has moved between two moments. The broker tells offsets, not journeys: where several send at once, each is given its share. */
export function flowsBetween(before: TopicView, after: TopicView, { since = before, failed = [] }: Known = {}): Flow[] {
  const flows: Flow[] = [];
  const add = (from: string, to: string, count: number): void => {
    if (count > 0) flows.push({ from, to, count });
  };
  const earlier = new Map(before.lanes.map((lane) => [lane.queueId, lane]));
  const source = sourceOf(since, after);
  for (const { queueId, max, consumed, owner } of after.lanes) {
    const lane = earlier.get(queueId);
    if (lane === undefined) continue;
    for (const [sender, count] of source(Math.max(0, max - lane.max))) add(sender, lanePlace(queueId), count);
    if (owner !== undefined && consumed !== null) add(lanePlace(queueId), memberPlace(owner), consumed - (lane.consumed ?? consumed));
  }
  add("delayed", "retry", after.retry.put - before.retry.put);
  if (after.retry.owner !== undefined) add("retry", memberPlace(after.retry.owner), after.retry.taken - before.retry.taken);
  add("group", "dead", after.dead - before.dead);
  for (const [clientId, count] of failed) add(memberPlace(clientId), "delayed", count);
  return flows;
}

/** Where so many come from that are new in a queue. */
function sourceOf(since: TopicView, after: TopicView): (count: number) => [string, number][] {
  const known = new Map(since.senders.map(({ clientId, putMessages }) => [clientId, putMessages]));
  const grown = after.senders.map(({ clientId, putMessages }) => [senderPlace(clientId), putMessages - (known.get(clientId) ?? 0)] as [string, number]).filter(([, count]) => count > 0);
  const all = grown.reduce((total, [, count]) => total + count, 0);
  // Where nobody has sent, the broker has delivered what had waited for its time.
  return all > 0 ? (count) => shared(count, grown, all) : (count) => [["delayed", count]];
}

function shared(count: number, weights: readonly [string, number][], all: number): [string, number][] {
  let rest = count;
  return weights.map(([place, weight], at) => {
    const part = at === weights.length - 1 ? rest : Math.min(rest, Math.round((count * weight) / all));
    rest -= part;
    return [place, part];
  });
}

/** Dots that begin in one round of questions, at most about. */
const DOTS_A_ROUND = 40;
/** Rounds with little traffic before dots stand for fewer messages again. */
const CALM_ROUNDS = 12;
const STEPS = [1, 2, 5];

/** How many messages one dot stands for: at most so many, always said beside the map. */
export class DotScale {
  factor = 1;
  #calm = 0;
  readonly #rests = new Map<string, number>();

  /** How many dots are to be drawn of each flow now. */
  dots(flows: readonly Flow[]): (Flow & { dots: number })[] {
    const total = flows.reduce((all, { count }) => all + count, 0);
    this.#choose(roundStep(total / DOTS_A_ROUND));
    const moving = new Map(flows.map((flow) => [`${flow.from}>${flow.to}`, flow]));
    const drawn: (Flow & { dots: number })[] = [];
    for (const key of new Set([...this.#rests.keys(), ...moving.keys()])) {
      const [from = "", to = ""] = key.split(">");
      const count = moving.get(key)?.count ?? 0;
      const due = (this.#rests.get(key) ?? 0) + count;
      const dots = Math.floor(due / this.factor);
      const rest = due - dots * this.factor;
      // Where nothing follows, a last dot stands for what is left over.
      const isLast = count === 0 && rest > 0;
      if (rest === 0 || isLast) this.#rests.delete(key);
      else this.#rests.set(key, rest);
      if (dots > 0 || isLast) drawn.push({ from, to, count, dots: dots + (isLast ? 1 : 0) });
    }
    return drawn;
  }

  /** Nothing moves any more: what is left over is drawn, and counting begins anew. */
  rest(): (Flow & { dots: number })[] {
    const left = this.dots([]);
    this.factor = 1;
    this.#calm = 0;
    return left;
  }

  #choose(step: number): void {
    if (step >= this.factor) {
      this.factor = step;
      this.#calm = 0;
    } else if (++this.#calm >= CALM_ROUNDS) {
      this.factor = step;
      this.#calm = 0;
    }
  }
}

/** The next of 1, 2, 5, 10, 20, 50… */
function roundStep(least: number): number {
  for (let power = 1; ; power *= 10) for (const step of STEPS) if (step * power >= least) return step * power;
}
