import { useTranslate } from "../../../devtools/context.ts";
import type { Translate } from "../../../devtools/i18n/translate.ts";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import type { Check, Play } from "./play.ts";
import { checkText, type ScenarioName } from "./texts.ts";

/** What has come of a story: each figure as it was found, and what it had to be. */
export function CheckList({ name, play }: { name: ScenarioName; play: Play | null }) {
  const t = useTranslate();
  const phase = play?.phase.value;
  const checks = play?.checks.value ?? [];
  if (play === null || phase === undefined) return null;
  const isGood = checks.every((check) => check.isGood);
  return (
    <Panel title={t("scenarios.outcome")}>
      <div class="stack" data-phase={phase}>
        {phase === "over"
          ? <p class={isGood ? "outcome good" : "outcome bad"}><strong>{t(isGood ? "scenarios.good" : "scenarios.bad")}</strong></p>
          : <p class={phase === "failed" ? "outcome bad" : "quiet"} role={phase === "failed" ? "alert" : undefined}>{t(`scenarios.phase.${phase}`)} {play.failure.value}</p>}
        {checks.length > 0 && (
          <ul class="story-checks" aria-label={t("scenarios.outcome")}>
            {checks.map((check) => (
              <li key={check.key} data-check={check.key} data-good={check.isGood} data-actual={check.actual}>
                <span class={check.isGood ? "tag good" : "tag bad"}>{t(check.isGood ? "scenarios.yes" : "scenarios.no")}</span>
                <span>{t(checkText(name, check.key))}</span>
                <span class="story-found">{found(t, check)}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </Panel>
  );
}

function found(t: Translate, { actual, expected, isGood }: Check): string {
  const written = (value: number | string): string => (typeof value === "number" ? t.number(value) : value);
  if (typeof expected === "object") {
    if ("least" in expected) return t("scenarios.found.least", { actual: written(actual), expected: written(expected.least) });
    return t("scenarios.found.most", { actual: written(actual), expected: written(expected.most) });
  }
  return isGood ? written(actual) : t("scenarios.found.instead", { actual: written(actual), expected: written(expected) });
}
