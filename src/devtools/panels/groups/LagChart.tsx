import { useMemo } from "preact/hooks";
import { useTranslate } from "../../context.ts";
import { Chart } from "../../ui/Chart.tsx";
import { lagLines, type LagSample } from "./lag-history.ts";

/** The backlog over time, by topic. */
export function LagChart({ group, history, every }: { group: string; history: readonly LagSample[]; every: number }) {
  const t = useTranslate();
  const { times, lines } = useMemo(() => lagLines(history, 3 * every), [history]);
  return (
    <section class="panel">
      <Chart
        label={t("groups.chart", { group })} x={{ kind: "time", values: times }} y={{ atLeast: 5 }}
        series={lines.map(({ topic, values }) => ({ label: topic ?? t("groups.chart.others"), values }))}
        note={t("groups.chart.note", { seconds: every / 1000, since: t.time(times[0] ?? 0) })}
      />
    </section>
  );
}
