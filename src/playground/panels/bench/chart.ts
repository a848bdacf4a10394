import type { Both, Row, Side } from "./report.ts";

/** What a bench's chart is drawn with: colours of the theme it is drawn in, and texts of the language. */
export interface Look {
  colours: Readonly<Record<"ground" | "text" | "muted" | "tabmq" | "ceiling", string>>;
  font: string;
  /** Above a picture that is saved: what it is of. */
  heading: { title: string; subtitle: string } | null;
  sides: Both<string>;
  /** Headings of the two halves. */
  units: Record<Row["unit"], string>;
  name: (row: Row) => string;
  value: (row: Row, side: Side) => string;
}

const MARGIN = 20;
const HEADING = 40;
const LEGEND = 28;
const HALF_HEAD = 30;
const GROUP = 62;
const BAR = 16;
/** From here on the halves stand side by side. */
const WIDE = 720;

/** Two halves of horizontal bars, throughput and latency, each with its own scale, drawn for `width` CSS pixels at `scale` device pixels each. */
export function drawChart(canvas: HTMLCanvasElement, rows: readonly Row[], look: Look, width: number, scale: number): void {
  const halves = (["rate", "time"] as const).map((unit) => rows.filter((row) => row.unit === unit));
  const isWide = width >= WIDE;
  const heights = halves.map((half) => HALF_HEAD + half.length * GROUP);
  const head = LEGEND + (look.heading === null ? 0 : HEADING);
  const height = head + (isWide ? Math.max(...heights) : heights[0]! + heights[1]! + MARGIN) + MARGIN / 2;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d")!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.textBaseline = "alphabetic";
  context.fillStyle = look.colours.ground;
  context.fillRect(0, 0, width, height);
  const pen = new Pen(context, look);
  if (look.heading !== null) {
    pen.text(look.heading.title, MARGIN, 26, { size: 15, weight: 600, width: width - 2 * MARGIN });
    pen.text(look.heading.subtitle, MARGIN, 44, { size: 12, colour: look.colours.muted, width: width - 2 * MARGIN });
  }
  pen.legend(MARGIN, head - 4);
  const half = isWide ? (width - 3 * MARGIN) / 2 : width - 2 * MARGIN;
  halves.forEach((group, at) => {
    const left = MARGIN + (isWide ? at * (half + MARGIN) : 0);
    const top = head + (!isWide && at === 1 ? heights[0]! + MARGIN : 0);
    pen.half(group, left, top + MARGIN, half);
  });
}

interface TextStyle {
  size: number;
  weight?: number;
  colour?: string;
  width?: number;
}

class Pen {
  readonly #context: CanvasRenderingContext2D;
  readonly #look: Look;

  constructor(context: CanvasRenderingContext2D, look: Look) {
    this.#context = context;
    this.#look = look;
  }

  /** Pressed together where it is longer than its place. */
  text(text: string, x: number, y: number, { size, weight = 400, colour = this.#look.colours.text, width }: TextStyle): number {
    this.#context.font = `${weight} ${size}px ${this.#look.font}`;
    this.#context.fillStyle = colour;
    this.#context.fillText(text, x, y, width);
    return this.#context.measureText(text).width;
  }

  legend(x: number, y: number): void {
    let at = x;
    for (const side of ["tabmq", "ceiling"] as const) {
      this.#bar(side, at, y - 9, 10, 10);
      at += 16 + this.text(this.#look.sides[side], at + 16, y, { size: 12 }) + 20;
    }
  }

  half(rows: readonly Row[], x: number, y: number, width: number): void {
    const unit = rows[0]?.unit;
    if (unit === undefined) return;
    this.text(this.#look.units[unit], x, y + 8, { size: 12, weight: 600, colour: this.#look.colours.muted, width });
    const most = Math.max(...rows.flatMap(({ values }) => [values.tabmq, values.ceiling]));
    const room = width - 90;
    rows.forEach((row, at) => {
      const top = y + HALF_HEAD - 10 + at * GROUP;
      this.text(this.#look.name(row), x, top + 12, { size: 12.5, width });
      (["tabmq", "ceiling"] as const).forEach((side, index) => {
        const length = Math.max(2, (row.values[side] / most) * room);
        const bar = top + 18 + index * (BAR + 2);
        this.#bar(side, x, bar, length, BAR);
        this.text(this.#look.value(row, side), x + length + 6, bar + BAR - 4, { size: 12, width: width - length - 6 });
      });
    });
  }

  /** The ceiling is an outline: told apart without colours too. */
  #bar(side: Side, x: number, y: number, width: number, height: number): void {
    this.#context.fillStyle = this.#context.strokeStyle = this.#look.colours[side];
    this.#context.lineWidth = 1.5;
    if (side === "tabmq") this.#context.fillRect(x, y, width, height);
    else this.#context.strokeRect(x + 0.75, y + 0.75, width - 1.5, height - 1.5);
  }
}
