import type { Verdict } from "../checkers.ts";
import { type At, entriesOf, type Entry, type History, type Of, placeOf } from "../history.ts";
import type { Finished, Given } from "./judges.ts";
import { queueOf, type Resets } from "./resets.ts";

/** Clocks of the broker show whole milliseconds, and two brokers take over a claim from each other by them. */
const ROUNDING = 2;

/** What became of one claim. Certain are only the times between its answers. */
interface Life {
  entry: Of<"claimed">;
  given: Given;
  finished: Finished | null;
  /** The message was surely this consumer's: pieces of time. */
  sure: { from: number; to: number }[];
  /** Until when, if the change that was asked for last is made. */
  changed: number;
  /** When its consumer goes. */
  end: number;
}

/** The claims of simple consumers, as a history tells them. */
export class Claims {
  readonly #lives = new Map<number, Life>();

  constructor(history: History) {
    const crashed = new Map(entriesOf(history, "fault").filter(({ kind }) => kind === "tab crashed").map(({ agent, at }) => [agent, at]));
    const leaving = new Map(entriesOf(history, "leaving").map(({ consumer, at }) => [consumer, at]));
    for (const entry of history) {
      if (entry.type === "claimed") {
        const { at, claim, consumer, asked, invisible, message } = entry;
        // With its consumer it ends in any case.
        const end = Math.min(leaving.get(consumer) ?? Infinity, crashed.get(consumer.split("/")[0]!) ?? Infinity);
        this.#lives.set(claim, { entry, end, given: { asked, at, consumer, message, batch: claim }, finished: null, sure: [{ from: at, to: Math.min(asked + invisible, end) }], changed: 0 });
      } else if ("claim" in entry) {
        this.#goOn(this.#lives.get(entry.claim)!, entry);
      }
    }
  }

  #goOn(life: Life, { at, claim, ...entry }: Exclude<At<Extract<Entry, { claim: number }>>, { type: "claimed" }>): void {
    const last = life.sure.at(-1)!;
    switch (entry.type) {
      case "change asked":
        // It may hold for the old time, for the new one, or be over.
        last.to = Math.min(last.to, at);
        life.changed = at + entry.invisible!;
        return;
      case "change answered":
        if (entry.isOk === true) life.sure.push({ from: at, to: Math.min(life.changed, life.end) });
        return;
      case "ack asked":
        last.to = Math.min(last.to, at);
        life.finished = { from: at, to: Infinity, message: life.entry.message, batch: claim, isSure: false };
        return;
      case "ack answered":
        if (entry.isOk === true) Object.assign(life.finished!, { to: at, isSure: true });
        if (entry.isOk === false) life.finished = null;
    }
  }

  of(group: string): Life[] {
    return [...this.#lives.values()].filter(({ entry }) => entry.group === group);
  }

  /** A message that is somebody's is given to nobody: neither to another one, nor to its holder again. */
  overlaps(group: string, resets: Resets): Verdict[] {
    const byPlace = new Map<string, Life[]>();
    for (const life of this.of(group)) byPlace.set(placeOf(life.entry.message), [...(byPlace.get(placeOf(life.entry.message)) ?? []), life]);
    return [...byPlace].flatMap(([place, lives]) =>
      lives.flatMap((holder) =>
        lives.flatMap(({ given }): Verdict[] => {
          if (given === holder.given || resets.touches(queueOf(given.message), holder.given.asked, given.at)) return [];
          const piece = holder.sure.find(({ from, to }) => from <= given.asked && given.at < to - ROUNDING);
          return piece === undefined ? [] : [{ kind: "claimed twice", text: `${place} to ${given.consumer} at ${given.at}, which was ${holder.given.consumer}'s until ${piece.to}` }];
        }),
      ),
    );
  }
}
