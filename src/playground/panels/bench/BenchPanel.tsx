import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { bench } from "../../../devtools/i18n/en/bench.ts";
import { reasonOf } from "../../../devtools/polled.ts";
import { useStyles } from "../../../devtools/styles.ts";
import { Progress } from "../../../devtools/ui/Answer.tsx";
import { Choice } from "../../../devtools/ui/Field.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { useWorkshop } from "../../workshop.ts";
import css from "./bench.css?inline";
import { BenchResults } from "./BenchResults.tsx";
import { removeLeftovers } from "./own-namespace.ts";
import type { Machine } from "./report.ts";
import { type Progress as RunProgress, runBench } from "./run.ts";
import { placeOf } from "./texts.ts";

export const texts = [bench];

const ROUNDS = [3, 5, 11] as const;
const DEFAULT_ROUNDS = 5;
const MOST_ROUNDS = 50;

/** What this very browser does, beside what it could do at best. */
export default function BenchPanel() {
  useStyles(css);
  const { router, announce } = useDevtools();
  const { report } = useWorkshop();
  const t = useTranslate();
  const progress = useSignal<RunProgress | null>(null);
  const machine = useSignal<Machine | null>(null);
  const problem = useSignal("");
  const running = useRef<AbortController | null>(null);
  const asked = Number(router.route.value.query.rounds);
  const rounds = Number.isInteger(asked) && asked > 0 ? Math.min(asked, MOST_ROUNDS) : DEFAULT_ROUNDS;

  useEffect(() => {
    // Of a run whose page was closed. What cannot be removed now is tried again next time.
    removeLeftovers().catch(() => {});
    return () => running.current?.abort();
  }, []);

  const start = async (): Promise<void> => {
    const abort = (running.current = new AbortController());
    problem.value = "";
    announce(t("bench.started"));
    try {
      report.value = await runBench({ rounds, signal: abort.signal, onMachine: (found) => (machine.value = found), onProgress: (now) => (progress.value = now) });
      announce(t("bench.finished"));
    } catch (error) {
      if (abort.signal.aborted) announce(t("bench.stopped"));
      else problem.value = reasonOf(error);
    } finally {
      running.current = null;
      progress.value = null;
    }
  };

  const now = progress.value;
  return (
    <>
      <Panel title={t("bench.nav")}>
        <p class="bench-lead">{t("bench.lead")}</p>
        <p class="bench-lead quiet">{t("bench.advice")}</p>
        <div class="bench-controls">
          <div class="bench-rounds">
            <span aria-hidden="true">{t("bench.rounds")}</span>
            <Choice
              name="rounds" legend={t("bench.rounds")} value={rounds} options={[...new Set([...ROUNDS, rounds])].sort((a, b) => a - b).map((count) => [count, t.number(count)] as const)}
              onChoose={(count) => router.refine({ rounds: count === DEFAULT_ROUNDS ? undefined : String(count) })}
            />
          </div>
          {now === null
            ? <button type="button" class="button primary" onClick={() => void start()}>{t("bench.start")}</button>
            : <button type="button" class="button" disabled={now.step === "end"} onClick={() => running.current?.abort()}>{t("bench.stop")}</button>}
        </div>
        {now !== null && (
          <>
            {now.step === null && <p class="outcome warn" role="status">{t("bench.hidden")}</p>}
            <Progress label={progressText(t, now, rounds)} value={now.done} />
            {machine.value !== null && <p class="hint">{placeOf(t, machine.value)}</p>}
          </>
        )}
        {problem.value !== "" && <p class="outcome bad" role="alert">{t("bench.failed", { reason: problem.value })}</p>}
      </Panel>
      {report.value !== null && <BenchResults report={report.value} />}
    </>
  );
}

function progressText(t: ReturnType<typeof useTranslate>, { step, round }: RunProgress, rounds: number): string {
  if (step === "start" || step === "end") return t(`bench.step.${step}`);
  const what = step === null ? t("bench.step.waiting") : t(`bench.step.${step}`);
  return round === 0 ? t("bench.progress.warmUp", { what }) : t("bench.progress", { round, rounds, what });
}
