import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { download } from "../../../devtools/download.ts";
import type { Translate } from "../../../devtools/i18n/translate.ts";
import { drawChart, type Look } from "./chart.ts";
import { type Report, rowsOf } from "./report.ts";
import { labelOf, placeOf, valueOf } from "./texts.ts";

/** The saved picture's width, CSS pixels, and device pixels for each. */
const PICTURE = { width: 1080, scale: 2 };
const LEAST_WIDTH = 240;

/** The figures as bars. The table below it says the same; this is for the eye, and to be saved. */
export function BenchChart({ report, canvas }: { report: Report; canvas: RefObject<HTMLCanvasElement | null> }) {
  const { settings } = useDevtools();
  const t = useTranslate();
  const theme = settings.theme.value;
  useEffect(() => {
    const element = canvas.current!;
    const box = element.parentElement!;
    const draw = (): void => drawChart(element, rowsOf(report), lookOf(element, t), Math.max(LEAST_WIDTH, box.clientWidth), devicePixelRatio);
    const observer = new ResizeObserver(draw);
    observer.observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", draw);
    };
  }, [report, t, theme]);
  return <div class="bench-chart"><canvas ref={canvas} role="img" aria-label={t("bench.chart.label")} /></div>;
}

/** Drawn once more, in one size for all screens, with where and when it was measured. */
export function saveChart(shown: HTMLCanvasElement, report: Report, t: Translate): void {
  const picture = document.createElement("canvas");
  const heading = { title: t("bench.chart.title"), subtitle: `${placeOf(t, report)} · ${t.dateTime(Date.parse(report.at))}` };
  drawChart(picture, rowsOf(report), { ...lookOf(shown, t), heading }, PICTURE.width, PICTURE.scale);
  picture.toBlob((blob) => {
    if (blob !== null) download(blob, `tabmq-bench-${report.at.slice(0, 10)}.png`);
  }, "image/png");
}

function lookOf(element: HTMLElement, t: Translate): Look {
  return {
    colours: {
      ground: colourOf(element, "--panel"), text: colourOf(element, "--text"), muted: colourOf(element, "--muted"),
      tabmq: colourOf(element, "--accent"), ceiling: colourOf(element, "--line-strong"),
    },
    font: getComputedStyle(element).fontFamily,
    heading: null,
    sides: { tabmq: t("bench.side.tabmq"), ceiling: t("bench.side.ceiling") },
    units: { rate: t("bench.unit.rate"), time: t("bench.unit.time") },
    name: (row) => labelOf(t, row),
    value: (row, side) => valueOf(t, row, row.values[side]),
  };
}

/** A token as a canvas understands it: `light-dark()` is resolved in a real property only. */
function colourOf(element: HTMLElement, token: string): string {
  element.style.color = `var(${token})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}
