import type uPlot from "uplot";
import { download } from "../../download.ts";
import { colourOf, dashOf, SERIES_COLOURS } from "./plot.ts";

interface Picture {
  plot: uPlot;
  /** In it the colours are known. */
  inside: HTMLElement;
  label: string;
  note: string;
  shape: "line" | "bars";
  series: readonly { label: string; isReference: boolean }[];
}

const MARGIN = 16;
const LINE = 20;

/** The chart as it is on screen, with its name and legend, as PNG. */
export async function savePicture(picture: Picture): Promise<void> {
  const blob = await new Promise<Blob | null>((resolve) => drawn(picture).toBlob(resolve, "image/png"));
  if (blob === null) throw new Error("The browser cannot write this picture.");
  download(blob, `${picture.label.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "").slice(0, 80)}.png`);
}

function drawn({ plot, inside, label, note, shape, series }: Picture): HTMLCanvasElement {
  const source = plot.ctx.canvas;
  const scale = source.width / plot.width;
  const width = plot.width + 2 * MARGIN;
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d")!;
  const family = getComputedStyle(inside).fontFamily;
  const [ground, text, quiet] = ["--panel", "--text", "--muted"].map((name) => colourOf(inside, name));
  pen.font = `12.5px ${family}`;
  const places = legendPlaces(series.map((one) => 28 + pen.measureText(one.label).width + 18), plot.width);
  const legendTop = MARGIN + 2 * LINE;
  const plotTop = legendTop + (places.at(-1)?.row ?? 0) * LINE + LINE;
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil((plotTop + plot.height + (note === "" ? 0 : LINE) + MARGIN) * scale);
  pen.scale(scale, scale);
  pen.fillStyle = ground!;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = text!;
  pen.font = `600 15px ${family}`;
  pen.fillText(label, MARGIN, MARGIN + 14, plot.width);
  pen.font = `12.5px ${family}`;
  for (const [at, { label: name, isReference }] of series.entries()) {
    const { left, row } = places[at]!;
    const [x, y] = [MARGIN + left, legendTop + row * LINE];
    pen.strokeStyle = colourOf(inside, `--series-${at % SERIES_COLOURS}`);
    const isBar = shape === "bars" && !isReference;
    pen.lineWidth = isBar ? 10 : 2;
    pen.setLineDash(isBar ? [] : [...dashOf(at, isReference)]);
    pen.beginPath();
    pen.moveTo(x, y - 4);
    pen.lineTo(x + 22, y - 4);
    pen.stroke();
    pen.fillText(name, x + 28, y, plot.width - 28);
  }
  pen.drawImage(source, MARGIN, plotTop, plot.width, plot.height);
  pen.fillStyle = quiet!;
  if (note !== "") pen.fillText(note, MARGIN, plotTop + plot.height + LINE - 4, plot.width);
  return canvas;
}

/** One beside the other, and where a line is full on the next. */
function legendPlaces(widths: readonly number[], room: number): { left: number; row: number }[] {
  let [left, row] = [0, 0];
  return widths.map((width) => {
    if (left > 0 && left + width > room) [left, row] = [0, row + 1];
    const place = { left, row };
    left += width;
    return place;
  });
}
