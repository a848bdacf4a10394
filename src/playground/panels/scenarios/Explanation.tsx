import { useTranslate } from "../../../devtools/context.ts";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import type { Play } from "./play.ts";
import type { ScenarioEntry } from "./scenarios.ts";
import { stepsOf, textOf } from "./texts.ts";

/** What one sees, sentence by sentence as it happens; why it is so; where it is done; what is promised. */
export function Explanation({ entry: { name, code }, play }: { entry: ScenarioEntry; play: Play | null }) {
  const t = useTranslate();
  const taken = play?.steps.value ?? [];
  const isPlaying = play?.phase.value === "playing";
  return (
    <Panel title={t("scenarios.explanation")}>
      <div class="stack">
        <ol class="story-steps">
          {stepsOf(name).map(({ step, key }) => {
            const isCurrent = isPlaying && taken.at(-1) === step;
            const isDone = taken.includes(step) && !isCurrent;
            return <li key={step} class={isDone ? "done" : ""} aria-current={isCurrent ? "step" : undefined} data-step={step}>{t(key)}</li>;
          })}
        </ol>
        <p>{t(textOf(name, "why"))}</p>
        <dl class="story-facts">
          <div><dt>{t("scenarios.promise")}</dt><dd>{t(textOf(name, "promise"))}</dd></div>
          <div><dt>{t("scenarios.code")}</dt><dd>{code.map((file) => <code key={file}>{file}</code>)}</dd></div>
        </dl>
      </div>
    </Panel>
  );
}
