import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import uplotCss from "uplot/dist/uPlot.min.css?inline";
import { useDevtools, useTranslate } from "../context.ts";
import { reasonOf } from "../polled.ts";
import { useStyles } from "../styles.ts";
import { DataTable } from "./DataTable.tsx";
import css from "./chart/chart.css?inline";
import { savePicture } from "./chart/picture.ts";
import { createPlot, dashOf, SERIES_COLOURS } from "./chart/plot.ts";

interface ChartSeries {
  label: string;
  /** One for each place of `x`; null = not known. Six series are told apart well. */
  values: readonly (number | null)[];
  /** Something to compare with, a ceiling or a target: a thin dotted line, also among bars. */
  isReference?: boolean;
}

/** Instants (ms), numbers that rise, or names. Bars stand on names only. */
type ChartAxis = { kind: "time"; values: readonly number[] } | { kind: "number"; values: readonly number[]; format?: (value: number) => string; title?: string } | { kind: "category"; values: readonly string[]; title?: string };

export interface ChartProps {
  /** What it shows: above it, in its text alternative, in the saved picture and its file's name. */
  label: string;
  x: ChartAxis;
  series: readonly ChartSeries[];
  /** Default "line". */
  shape?: "line" | "bars";
  /** `log`: values of 0 and less are left out. `atLeast`: how far up a linear axis goes when all values are small. `format`: default a number as the language writes it. */
  y?: { scale?: "linear" | "log"; atLeast?: number; format?: (value: number) => string; title?: string };
  /** Pixels. Default 220. */
  height?: number;
  /** Under it, and in the saved picture: how it was measured. */
  note?: string;
}

/**
 * A chart in the theme's colours, which one can save as a picture. It draws the values it is given whenever they are another
 * array than before. Who cannot see it hears a summary, and has all values as a table. The library that draws is loaded with the first chart.
 */
export function Chart({ label, x, series, shape = "line", y = {}, height = 220, note = "" }: ChartProps) {
  useStyles(uplotCss);
  useStyles(css);
  const { announce, settings } = useDevtools();
  const t = useTranslate();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const library = useSignal<typeof uPlot | null>(null);
  const problem = useSignal("");
  const pointed = useSignal<number | null>(null);
  const isOpen = useSignal(false);
  const systemTheme = useSystemTheme();
  const { scale = "linear", atLeast = 0, title = "", format: formatY = t.number } = y;
  const clock = new Intl.DateTimeFormat(t.language === "zh" ? "zh-Hans" : "en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const formatX = (value: number): string => (x.kind === "time" ? clock.format(value) : x.kind === "number" ? (x.format ?? t.number)(value) : (x.values[value] ?? ""));
  const data = [
    x.kind === "category" ? x.values.map((_, at) => at) : x.values,
    ...series.map(({ values }) => (scale === "log" ? values.map((value) => (value !== null && value > 0 ? value : null)) : values)),
  ] as uPlot.AlignedData;
  const lines = series.map(({ label: name, isReference = false }) => ({ label: name, isReference }));
  // The axes' texts are asked for with each drawing, by then maybe of another value than when the plot was made.
  const current = useRef({ formatX, formatY });
  current.current = { formatX, formatY };

  useEffect(() => {
    let isGone = false;
    import("uplot").then(({ default: loaded }) => void (isGone || (library.value = loaded)), (error: unknown) => void (isGone || (problem.value = reasonOf(error))));
    return () => void (isGone = true);
  }, []);
  const frame = [library.value, settings.theme.value, systemTheme, t.language, shape, scale, atLeast, title, height, x.kind, ...(x.kind === "category" ? x.values : []), ...lines.flatMap((one) => [one.label, one.isReference])];
  useLayoutEffect(() => {
    if (library.value === null) return;
    const element = box.current!;
    const xTitle = "title" in x ? (x.title ?? "") : "";
    const made = createPlot(
      library.value,
      {
        shape, height, series: lines, y: { scale, atLeast, title },
        x: x.kind === "category" ? { kind: x.kind, title: xTitle, names: x.values } : { kind: x.kind, title: xTitle },
        formatX: (value) => current.current.formatX(value), formatY: (value) => current.current.formatY(value),
        onPoint: (at) => void (pointed.value = at),
      },
      data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [frame.join("\n"), library.value]);
  useLayoutEffect(() => plot.current?.setData(data), [x.values, ...series.map(({ values }) => values)]);

  const at = pointed.value !== null && pointed.value < x.values.length ? pointed.value : x.values.length - 1;
  const shown = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : formatY(value));
  const nameOfX = (place: number): string => (x.kind === "category" ? (x.values[place] ?? "") : formatX(x.values[place] ?? 0));
  const summary = [label, ...series.map(({ label: name, values }) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? t("chart.summary.none", { name }) : t(x.kind === "time" ? "chart.summary.now" : "chart.summary", { name, last: shown(known.at(-1)), least: shown(least(known)), most: shown(most(known)) });
  })].join(" ");
  const onSave = async (): Promise<void> => {
    try {
      await savePicture({ plot: plot.current!, inside: box.current!, label, note, shape, series: lines });
      announce(t("chart.saved"));
    } catch (error) {
      problem.value = reasonOf(error);
    }
  };
  return (
    <figure class="chart" aria-label={label}>
      <div class="chart-head">
        <h3>{label}</h3>
        <button type="button" class="button small" disabled={library.value === null} onClick={() => void onSave()}>{t("chart.save")}</button>
      </div>
      <ul class="chart-legend">
        {series.map(({ label: name, values, isReference = false }, place) => (
          <li key={place}>
            <Swatch place={place} isBar={shape === "bars" && !isReference} isReference={isReference} />
            <span class="name" title={name}>{name}</span>
            <span class="value">{shown(values[at])}</span>
          </li>
        ))}
        {pointed.value !== null && <li class="at" aria-hidden="true">{nameOfX(at)}</li>}
      </ul>
      {problem.value !== "" && <p class="outcome bad" role="alert">{problem.value}</p>}
      <div role="img" aria-label={summary} class="chart-plot" ref={box} style={{ minHeight: `${height}px` }} />
      {note !== "" && <p class="hint">{note}</p>}
      <details class="chart-values" onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
        <summary>{t("chart.values")}</summary>
        {isOpen.value && (
          <DataTable
            label={label} rows={x.kind === "time" ? x.values.map((_, place) => place).reverse() : x.values.map((_, place) => place)} keyOf={String}
            columns={[
              { id: "x", title: x.kind === "time" ? t("chart.time") : ("title" in x ? x.title : undefined) ?? t("chart.name"), cell: nameOfX },
              ...series.map(({ label: name, values }, place) => ({ id: `${place}`, title: name, hint: name, number: true, cell: (row: number) => shown(values[row]) })),
            ]}
          />
        )}
      </details>
    </figure>
  );
}

function Swatch({ place, isBar, isReference }: { place: number; isBar: boolean; isReference: boolean }) {
  const stroke = `var(--series-${place % SERIES_COLOURS})`;
  return <svg viewBox="0 0 22 10" aria-hidden="true"><line x1="0" x2="22" y1="5" y2="5" style={{ stroke }} stroke-width={isBar ? 10 : 2} stroke-dasharray={isBar ? "" : dashOf(place, isReference).join(" ")} /></svg>;
}

/** Spread into Math.max, a long list would overflow the stack. */
const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));

/** Changes when the system goes from light to dark: what is drawn on a canvas does not by itself. */
function useSystemTheme(): boolean {
  const isDark = useSignal(false);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const onChange = (): void => void (isDark.value = query.matches);
    onChange();
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  return isDark.value;
}
