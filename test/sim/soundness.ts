import { checkStore, type StoreContent } from "../support/store-check.ts";
import type { Verdict } from "./checkers.ts";
import type { FaultKind, History } from "./history.ts";

/** What is on disk in the end is one store: log, queue pages, key index, checkpoint and state say the same. Where the browser took or damaged some of it, they cannot. */
export function soundness(history: History, store: StoreContent): Verdict[] {
  if (history.some(({ type }) => type === "damaged" || type === "tail lost")) return [];
  const has = (kind: FaultKind): boolean => history.some((entry) => entry.type === "fault" && entry.kind === kind);
  const findings = checkStore(store, { holes: has("quota used up") });
  // Of a clock that was set back between two brokers nobody knows.
  const unexplained = has("clock jumped") ? findings.filter(({ code }) => code !== "TIME_BACKWARDS") : findings;
  return unexplained.map(({ code, where }) => ({ kind: "unsound store", text: `${code} ${where}` }));
}
