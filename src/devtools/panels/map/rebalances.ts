import { useSignal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TopicView } from "./topic-view.ts";

/** Queues have gone from one consumer to another. */
export interface Rebalance {
  at: number;
  moved: number;
  /** How many queues each owner has now. */
  shares: readonly (readonly [clientId: string, queues: number])[];
  /** Queues that nobody has. */
  free: number;
}

/** Queues are given up before they are taken: what is told is how it ends. */
const SETTLED_AFTER = 350;

/** What changed hands last, once it has settled. Not what was so when the map was opened. */
export function useRebalances(view: TopicView | undefined, about: string, ownId: string, tell: (rebalance: Rebalance) => void): ReadonlySignal<Rebalance | null> {
  const last = useSignal<Rebalance | null>(null);
  const known = useRef<{ about: string; owners: readonly string[] } | null>(null);
  const owners = view?.lanes.map(({ owner }) => owner ?? "") ?? [];
  const signature = `${about}\n${owners.join("\n")}`;
  useEffect(() => {
    if (owners.length === 0) return undefined;
    if (known.current?.about !== about) {
      known.current = { about, owners };
      last.value = null;
      return undefined;
    }
    const timer = setTimeout(() => {
      const before = known.current!.owners;
      known.current = { about, owners };
      const moved = owners.filter((owner, at) => owner !== (before[at] ?? "")).length;
      if (moved === 0) return;
      last.value = { at: Date.now(), moved, ...sharesOf(owners, ownId) };
      tell(last.value);
    }, SETTLED_AFTER);
    return () => clearTimeout(timer);
  }, [signature]);
  return last;
}

/** This tab's first. */
function sharesOf(owners: readonly string[], ownId: string): Pick<Rebalance, "shares" | "free"> {
  const shares = new Map<string, number>();
  for (const owner of owners) shares.set(owner, (shares.get(owner) ?? 0) + 1);
  const free = shares.get("") ?? 0;
  shares.delete("");
  return { shares: [...shares].sort(([a], [b]) => Number(b === ownId) - Number(a === ownId)), free };
}
