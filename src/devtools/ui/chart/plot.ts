import type uPlot from "uplot";

/** What is drawn, once words and numbers have been decided on. */
export interface PlotSpec {
  shape: "line" | "bars";
  x: { kind: "time" | "number"; title: string } | { kind: "category"; title: string; names: readonly string[] };
  y: { scale: "linear" | "log"; atLeast: number; title: string };
  series: readonly { label: string; isReference: boolean }[];
  height: number;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  /** Where the pointer is: an index of `x`; null = away. */
  onPoint: (at: number | null) => void;
}

export const SERIES_COLOURS = 6;
/** Time that an axis shows at least, ms: one sample is no line. */
const LEAST_TIME = 30_000;
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]];
const REFERENCE_DASH: readonly number[] = [2, 3];
const X_AXIS_HEIGHT = 28;

export function dashOf(at: number, isReference: boolean): readonly number[] {
  return isReference ? REFERENCE_DASH : DASHES[at % DASHES.length]!;
}

/** A custom property as a canvas takes it: `light-dark()` and `var()` mean nothing there. */
export function colourOf(inside: HTMLElement, property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  inside.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export function createPlot(UPlot: typeof uPlot, spec: PlotSpec, data: uPlot.AlignedData, into: HTMLElement): uPlot {
  const { x, y, shape } = spec;
  const [text, line, ground] = [colourOf(into, "--muted"), colourOf(into, "--line"), colourOf(into, "--panel")];
  const font = `12px ${getComputedStyle(into).fontFamily}`;
  const axis: uPlot.Axis = { stroke: text, font, labelFont: font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 }, gap: 6 };
  const bars = spec.series.filter(({ isReference }) => shape === "bars" && !isReference).length;
  let bar = 0;
  return new UPlot(
    {
      width: Math.max(1, into.clientWidth),
      height: spec.height,
      ms: 1,
      padding: [10, x.kind === "time" ? 30 : 12, null, null],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: shape === "line" } },
      scales: { x: { time: x.kind === "time", range: (_, min, max) => rangeOfX(spec, min, max) }, y: y.scale === "log" ? { distr: 3, range: (_, min, max) => UPlot.rangeLog(min ?? 1, max ?? 10, 10, true) } : { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(y.atLeast, (max ?? 0) * 1.05) || 1] } },
      axes: [
        {
          ...axis, label: x.title, labelSize: x.title === "" ? 0 : 20, size: X_AXIS_HEIGHT, space: x.kind === "category" ? 1 : 90,
          grid: { show: x.kind !== "category", stroke: line, width: 1 },
          ...(x.kind === "category" ? { splits: () => x.names.map((_, at) => at) } : {}),
          values: (_, splits) => splits.map((value) => (x.kind === "category" ? (x.names[value] ?? "") : spec.formatX(value))),
        },
        {
          ...axis, label: y.title, labelSize: y.title === "" ? 0 : 20,
          // As wide as its longest number.
          size: (_, values) => 18 + Math.max(2, ...(values ?? []).map((value) => value?.length ?? 0)) * 7,
          ...(y.scale === "log" ? { splits: (_: uPlot, __: number, min: number, max: number) => powersOfTen(min, max), filter: (_: uPlot, splits: number[]) => splits } : {}),
          values: (_, splits) => splits.map(spec.formatY),
        },
      ],
      series: [
        {},
        ...spec.series.map(({ isReference }, at): uPlot.Series => {
          const stroke = colourOf(into, `--series-${at % SERIES_COLOURS}`);
          if (shape === "bars" && !isReference) return { stroke, fill: stroke, width: 0, points: { show: false }, paths: barsAt(bar++, bars) };
          return {
            stroke, width: 2, dash: dashOf(at, isReference).map((length) => length * devicePixelRatio),
            // A line of one point is none; of many points one sees the line better without them.
            points: { show: (plot) => !isReference && (x.kind === "category" || plot.data[0].length < 3), size: 7, fill: ground },
            ...(shape === "bars" ? { paths: levels } : {}),
          };
        }),
      ],
      hooks: { setCursor: [(plot) => spec.onPoint(plot.cursor.idx ?? null)] },
    },
    data,
    into,
  );
}

function rangeOfX({ x, shape }: PlotSpec, min: number, max: number): [number, number] {
  if (x.kind === "category") return shape === "bars" ? [-0.5, x.names.length - 0.5] : [0, Math.max(1, x.names.length - 1)];
  // Without any value uPlot asks with null.
  if (x.kind === "time") return [min ?? 0, Math.max(max ?? 0, (min ?? 0) + LEAST_TIME)];
  return min === max ? [(min ?? 0) - 1, (max ?? 0) + 1] : [min, max];
}

function powersOfTen(min: number, max: number): number[] {
  const powers: number[] = [];
  for (let power = Math.ceil(Math.log10(min) - 1e-9); power <= Math.log10(max) + 1e-9; power++) powers.push(10 ** power);
  return powers;
}

/** A level across each name's place, where bars are compared with it. */
const levels: uPlot.Series.PathBuilder = (plot, series, from, to) => {
  const stroke = new Path2D();
  for (let at = from; at <= to; at++) {
    const value = plot.data[series]![at];
    if (value === null || value === undefined) continue;
    const y = plot.valToPos(value, "y", true);
    stroke.moveTo(plot.valToPos(at - 0.45, "x", true), y);
    stroke.lineTo(plot.valToPos(at + 0.45, "x", true), y);
  }
  return { stroke };
};

/** Bars that stand beside those of the other series: the library draws them on top of each other. */
function barsAt(place: number, of: number): uPlot.Series.PathBuilder {
  return (plot, series, from, to) => {
    const fill = new Path2D();
    const floor = plot.valToPos(Math.max(0, plot.scales.y!.min!), "y", true);
    const width = (plot.valToPos(1, "x", true) - plot.valToPos(0, "x", true)) * (0.72 / of);
    for (let at = from; at <= to; at++) {
      const value = plot.data[series]![at];
      if (value === null || value === undefined) continue;
      const left = plot.valToPos(plot.data[0][at]!, "x", true) + width * (place - of / 2);
      const top = plot.valToPos(value, "y", true);
      fill.rect(left, top, Math.max(1, width - 2 * devicePixelRatio), floor - top);
    }
    return { fill, stroke: null };
  };
}
