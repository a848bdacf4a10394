import type { ComponentChildren } from "preact";
import type { FailedLetter } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";

export interface OutcomeProps {
  /** What was done. */
  text: ComponentChildren;
  failed: readonly FailedLetter[];
  /** Nothing was done, for this reason. */
  problem?: string;
}

/** Reasons that are named one by one. */
const MOST_NAMED = 5;

/** What became of the letters, each by itself. */
export function Outcome({ text, failed, problem }: OutcomeProps) {
  const t = useTranslate();
  if (problem !== undefined) return <p class="outcome bad" role="alert">{problem}</p>;
  return (
    <div class={failed.length === 0 ? "outcome good" : "outcome warn"} role="status">
      <p>{text}</p>
      {failed.length > 0 && <p>{t("deadLetters.failed", { count: failed.length })}</p>}
      {failed.length > 0 && <ul>{failed.slice(0, MOST_NAMED).map(({ msgId, error }) => <li key={msgId}><code>{msgId}</code> {reasonOf(error)}</li>)}</ul>}
    </div>
  );
}
