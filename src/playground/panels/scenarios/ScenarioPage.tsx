import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { reasonOf } from "../../../devtools/polled.ts";
import { pathTo } from "../../../devtools/router.ts";
import { Choice } from "../../../devtools/ui/Field.tsx";
import { Ignored } from "../../../devtools/ui/Ignored.tsx";
import { Link } from "../../../devtools/ui/Link.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import type { Key } from "../../../devtools/i18n/translate.ts";
import { CheckList } from "./CheckList.tsx";
import { Explanation } from "./Explanation.tsx";
import { Play, type PlayPhase } from "./play.ts";
import type { ScenarioEntry } from "./scenarios.ts";
import { SourceCode } from "./SourceCode.tsx";
import type { Scenario } from "./stage.ts";
import { StageView } from "./StageView.tsx";
import { textOf } from "./texts.ts";

const FAST = 0.2;
/** Parameters that are lengths of time, ms. */
const TIMES: ReadonlySet<string> = new Set(["patience"]);
const RUNNING: ReadonlySet<PlayPhase> = new Set<PlayPhase>(["preparing", "playing"]);

/** One story: its explanation and its stage beside each other, its code below. */
export function ScenarioPage({ entry }: { entry: ScenarioEntry }) {
  const { router, announce } = useDevtools();
  const t = useTranslate();
  const scenario = useSignal<Scenario | null>(null);
  const problem = useSignal("");
  const play = useSignal<Play | null>(null);
  useEffect(() => {
    entry.load().then((loaded) => (scenario.value = loaded), (error: unknown) => (problem.value = reasonOf(error)));
    return () => play.peek()?.stop();
  }, []);
  useSignalEffect(() => {
    const phase = play.value?.phase.value;
    if (phase !== undefined && phase !== "preparing") announce(t(`scenarios.phase.${phase}`));
  });
  const { query } = router.route.value;
  const isFast = query.pace === "fast";
  const options = Object.entries(scenario.value?.parameters ?? {});
  const valueOf = (name: string, values: readonly number[]): number => values.find((value) => String(value) === query[name]) ?? (isFast ? Math.min(...values) : values[0]!);
  const choices: [string, readonly (number | string)[]][] = [["pace", ["fast"]], ...options];
  const ignored = choices.filter(([name, values]) => query[name] !== undefined && !values.some((value) => String(value) === query[name])).map(([name]) => name);
  const phase = play.value?.phase.value;
  const isRunning = phase !== undefined && RUNNING.has(phase);
  const parameters = Object.fromEntries(options.map(([name, values]) => [name, valueOf(name, values)]));
  const onPlay = (): void => {
    const next = new Play(entry.name, scenario.value!, { parameters, pace: isFast ? FAST : 1 });
    play.value = next;
    void next.start();
  };
  return (
    <>
      <Panel
        eyebrow={t("scenarios.nav")} title={t(textOf(entry.name, "title"))}
        tools={<>
          <Link class="button" to={pathTo("scenarios")}>{t("scenarios.all")}</Link>
          {isRunning
            ? <button type="button" class="button" onClick={() => play.value?.stop()}>{t("scenarios.stop")}</button>
            : <button type="button" class="button primary" disabled={scenario.value === null} onClick={onPlay}>{t(play.value === null ? "scenarios.play" : "scenarios.again")}</button>}
        </>}
      >
        <p>{t(textOf(entry.name, "line"))}</p>
        <Ignored names={ignored} />
        {options.length > 0 && (
          <div class="story-parameters">
            {options.map(([name, values]) => (
              <div key={name} class="story-parameter">
                <span aria-hidden="true">{t(`scenarios.parameter.${name}` as Key)}</span>
                <Choice
                  name={`scenario-${name}`} legend={t(`scenarios.parameter.${name}` as Key)} value={valueOf(name, values)}
                  options={values.toSorted((a, b) => a - b).map((value) => [value, TIMES.has(name) ? t.duration(value) : t.number(value)] as const)}
                  onChoose={(value) => router.refine({ [name]: String(value) })}
                />
              </div>
            ))}
          </div>
        )}
        {problem.value !== "" && <p class="outcome bad" role="alert">{problem.value}</p>}
      </Panel>
      <div class="columns story">
        <Explanation entry={entry} play={play.value} />
        <div class="column">
          <StageView play={play.value} />
          <CheckList name={entry.name} play={play.value} />
        </div>
      </div>
      <SourceCode entry={entry} parameters={parameters} hasOwnBroker={scenario.value?.hasOwnBroker === true} />
    </>
  );
}
