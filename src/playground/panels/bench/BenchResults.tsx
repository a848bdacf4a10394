import { useRef } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import { CopyButton } from "../../../devtools/ui/CopyButton.tsx";
import { type Column, DataTable } from "../../../devtools/ui/DataTable.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { BenchChart, saveChart } from "./BenchChart.tsx";
import { type Report, type Row, rowsOf } from "./report.ts";
import { labelOf, placeOf, valueOf } from "./texts.ts";

export function BenchResults({ report }: { report: Report }) {
  const t = useTranslate();
  const canvas = useRef<HTMLCanvasElement>(null);
  const columns: Column<Row>[] = [
    { id: "what", title: t("bench.column.what"), width: "minmax(0, 2.2fr)", cell: (row) => <span title={labelOf(t, row)}>{labelOf(t, row)}</span> },
    { id: "tabmq", title: t("bench.side.tabmq"), number: true, cell: (row) => valueOf(t, row, row.values.tabmq) },
    { id: "ceiling", title: t("bench.side.ceiling"), hint: t("bench.side.ceiling.hint"), number: true, cell: (row) => valueOf(t, row, row.values.ceiling) },
    { id: "ratio", title: t("bench.column.ratio"), hint: t("bench.column.ratio.hint"), number: true, width: "minmax(0, 0.6fr)", cell: ({ values }) => (values.tabmq / values.ceiling).toFixed(2) },
  ];
  return (
    <Panel
      title={t("bench.results")} eyebrow={`${placeOf(t, report)} · ${t.dateTime(Date.parse(report.at))}`}
      tools={
        <>
          <button type="button" class="button small" onClick={() => saveChart(canvas.current!, report, t)}>{t("bench.save")}</button>
          <CopyButton text={() => JSON.stringify(report, null, 2)} label={t("bench.copy")} />
        </>
      }
    >
      <BenchChart report={report} canvas={canvas} />
      <DataTable label={t("bench.results")} columns={columns} rows={rowsOf(report)} keyOf={({ id }) => id} />
      <details class="bench-method">
        <summary>{t("bench.method")}</summary>
        <p>{t("bench.method.turns", { count: report.rounds })}</p>
        <p>{t("bench.method.sends")}</p>
        <p>{t("bench.method.consume")}</p>
        <p>{t("bench.method.times", { count: report.times.lone.tabmq.samples })}</p>
      </details>
    </Panel>
  );
}
