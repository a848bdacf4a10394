/** What consumers have done with messages, as this process has heard of it, and what of it breaks a promise. */

/** A listener has begun with a message, or is done with it. It waits until this process knows. */
export interface Touch {
  /** One life of a tab: after a reload it is another. */
  life: string;
  group: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  msgId: string;
  attempt: number;
  isOver: boolean;
}

/** By group and queue id, how far the broker knew a group had come. */
export type Progress = Record<string, Record<number, number>>;

interface Heard extends Touch {
  at: number;
}

/** The tab was ended, or frozen, just after `at`. */
export interface Death {
  life: string;
  at: number;
  /** Known to the broker before: where others begin, or later. */
  committed: Progress;
  /** A frozen tab has thawed; what it does from here on is judged again. */
  back: number;
}

/** A queue of an orderly group: who works on it, on which message, and which comes next. */
interface Lane {
  life: string;
  open: number | null;
  next: number;
}

export class Chronicle {
  /** What it is about; what tabs of an earlier test still say is of no interest. */
  topic = "";
  readonly touches: Heard[] = [];
  readonly deaths: Death[] = [];

  hear(touch: Touch): void {
    if (touch.topic === this.topic) this.touches.push({ ...touch, at: performance.now() });
  }

  dies(life: string, committed: Progress): Death {
    const death = { life, at: performance.now(), committed, back: Infinity };
    this.deaths.push(death);
    return death;
  }

  /** Begun by this life and not done. */
  inHand(life: string, group: string): Touch[] {
    const mine = this.touches.filter((touch) => touch.life === life && touch.group === group);
    const over = new Set(mine.filter(({ isOver }) => isOver).map(({ msgId }) => msgId));
    return mine.filter(({ isOver, msgId }) => !isOver && !over.has(msgId));
  }

  /** By whom a group's messages are done, one for each time. */
  done(group: string): { msgId: string; life: string }[] {
    return this.touches.filter((touch) => touch.group === group && touch.isOver);
  }

  /** Others have begun with what the dead had in hand: after how many ms the first, and is that all of it? */
  redelivery(death: Death, group: string): { first: number; isComplete: boolean } {
    const hand = new Set(this.inHand(death.life, group).map(({ msgId }) => msgId));
    const again = this.touches.filter(({ life, group: of, isOver, msgId, at }) => of === group && life !== death.life && !isOver && at >= death.at && hand.has(msgId));
    return { first: (again[0]?.at ?? NaN) - death.at, isComplete: new Set(again.map(({ msgId }) => msgId)).size === hand.size };
  }

  /** Two tabs at one queue, and messages that come again without a cause. */
  verdicts(group: string): string[] {
    const open = new Map<number, Map<string, Heard>>();
    const begun = new Map<string, Heard[]>();
    const found: string[] = [];
    for (const touch of this.#of(group)) {
      const { life, queueId, msgId, attempt, isOver, at } = touch;
      // Tried again after a failure, it does not come from its queue.
      if (attempt > 1) continue;
      const hands = open.get(queueId) ?? new Map<string, Heard>();
      open.set(queueId, hands);
      if (isOver) {
        hands.delete(`${life} ${msgId}`);
        continue;
      }
      // What a dead tab has in hand is void; and a frozen one's, from before it was back.
      const isVoid = (other: Heard): boolean => other.at < (this.#deathOf(other.life, at)?.back ?? -1);
      const others = new Set([...hands.values()].filter((other) => other.life !== life && !isVoid(other)).map((other) => other.life));
      // A dead tab's last words may still have been on their way.
      if (!this.#isDead(life, at)) for (const other of others) found.push(`two at once: ${text(touch)} while ${other} works on the queue`);
      hands.set(`${life} ${msgId}`, touch);
      const earlier = begun.get(msgId) ?? [];
      begun.set(msgId, [...earlier, touch]);
      for (const before of earlier) {
        const committed = this.#deathOf(before.life, at)?.committed[group]?.[queueId];
        if (committed === undefined) found.push(`twice: ${text(touch)} was ${before.life}'s, which lives`);
        else if (touch.queueOffset < committed) found.push(`twice: ${text(touch)}, which ${before.life} had committed`);
      }
    }
    return found;
  }

  /** Of an orderly group: one after the other, and after a death from where the dead one's commit stood. */
  disorder(group: string): string[] {
    const lanes = new Map<number, Lane>();
    const found: string[] = [];
    for (const touch of this.#of(group)) {
      const { life, queueId, queueOffset, attempt, isOver, at } = touch;
      const lane = lanes.get(queueId) ?? { life, open: null, next: 0 };
      if (lane.life !== life && this.#isDead(life, at)) continue;
      if (isOver) {
        if (lane.life === life && lane.open === queueOffset) lanes.set(queueId, { life, open: null, next: queueOffset + 1 });
        continue;
      }
      const isHeir = lane.life !== life;
      if (!isHeir && attempt > 1 && queueOffset === (lane.open ?? lane.next - 1)) {
        // The one before took too long for the consumer, whatever the listener said in the end.
        lanes.set(queueId, { life, open: queueOffset, next: queueOffset });
        continue;
      }
      const committed = isHeir ? this.#deathOf(lane.life, at)?.committed[group]?.[queueId] : undefined;
      if (lane.open !== null && !(isHeir && committed !== undefined)) found.push(`too early: ${text(touch)} before ${lane.life} is done with ${lane.open}`);
      const from = committed ?? lane.next;
      if (queueOffset < from || queueOffset > lane.next) found.push(`out of order: ${text(touch)}, where ${from === lane.next ? from : `${from} to ${lane.next}`} comes next after ${lane.life}`);
      lanes.set(queueId, { life, open: queueOffset, next: queueOffset });
    }
    return found;
  }

  #of(group: string): Heard[] {
    return this.touches.filter((touch) => touch.group === group);
  }

  #deathOf(life: string, at: number): Death | undefined {
    return this.deaths.findLast((death) => death.life === life && death.at <= at);
  }

  #isDead(life: string, at: number): boolean {
    const death = this.#deathOf(life, at);
    return death !== undefined && at < death.back;
  }
}

function text({ life, group, queueId, queueOffset }: Touch): string {
  return `${group} ${queueId}:${queueOffset} begun by ${life}`;
}
