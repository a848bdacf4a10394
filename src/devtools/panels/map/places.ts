export interface Rect {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

interface Point {
  x: number;
  y: number;
}

/** A cubic curve. */
export type Curve = readonly [from: Point, bend: Point, bendBack: Point, to: Point];

/** Between a queue's row and the edge of its box: dots end before its number. */
const MARGIN = 10;

const BENEATH: ReadonlySet<string> = new Set(["delayed", "retry", "dead"]);

/** Where things are drawn, relative to the map. Measured when the map has changed, not for every dot. */
export class Places {
  readonly #root: HTMLElement;
  readonly #rects = new Map<string, Rect>();
  readonly #colours = new Map<string, string>();
  width = 0;
  height = 0;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  measure(): void {
    const { left, top, width, height } = this.#root.getBoundingClientRect();
    [this.width, this.height] = [width, height];
    this.#rects.clear();
    this.#colours.clear();
    for (const element of this.#root.querySelectorAll<HTMLElement>("[data-place]")) {
      const rect = element.getBoundingClientRect();
      const [over, under] = seen(element);
      // A queue that is scrolled out of its box has no place.
      if (rect.bottom < over || rect.top > under) continue;
      const margin = element.dataset.place!.startsWith("queue:") ? MARGIN : 0;
      this.#rects.set(element.dataset.place!, { left: rect.left - left - margin, right: rect.right - left + margin, top: rect.top - top, bottom: rect.bottom - top });
    }
  }

  at(place: string): Rect | undefined {
    return this.#rects.get(place);
  }

  /** The colour of a place's own dot. */
  colour(place: string): string {
    let colour = this.#colours.get(place);
    if (colour === undefined) {
      const dot = this.#root.querySelector(`[data-place="${CSS.escape(place)}"] .dot`);
      colour = getComputedStyle(dot ?? this.#root)[dot === null ? "color" : "backgroundColor"];
      this.#colours.set(place, colour);
    }
    return colour;
  }

  curve(from: string, to: string): Curve | undefined {
    // What goes to a place beneath the map goes down from the group as a whole, clear of what else is drawn.
    const isBeneath = BENEATH.has(from) || BENEATH.has(to);
    const [a, b] = [from, to].map((place) => this.at(isBeneath && place.startsWith("member:") ? "group" : place));
    if (a === undefined || b === undefined) return undefined;
    // Where the producers stand above the queues, what they send goes to the topic as a whole.
    const isAbove = from.startsWith("sender:") && b.left <= a.right;
    return curveBetween(a, isAbove ? (this.at("topic") ?? b) : b, isBeneath || isAbove);
  }
}

/** Top and bottom of what can be seen of a scrolled box around the element. */
function seen(element: HTMLElement): [number, number] {
  const box = element.closest(".lanes.dense")?.getBoundingClientRect();
  return box === undefined ? [-Infinity, Infinity] : [box.top, box.bottom];
}

/** From side to side where there is room between the two, else from edge to edge up or down; `isUpright`: that first. */
export function curveBetween(a: Rect, b: Rect, isUpright = false): Curve {
  const isApart = b.top > a.bottom || a.top > b.bottom;
  const isAside = b.left > a.right || a.left > b.right;
  if (isAside && !(isUpright && isApart)) {
    const [x1, x2] = b.left > a.right ? [a.right, b.left] : [a.left, b.right];
    const [y1, y2] = [(a.top + a.bottom) / 2, (b.top + b.bottom) / 2];
    const bend = (x2 - x1) / 2;
    return [{ x: x1, y: y1 }, { x: x1 + bend, y: y1 }, { x: x2 - bend, y: y2 }, { x: x2, y: y2 }];
  }
  const [y1, y2] = b.top > a.top ? [a.bottom, b.top] : [a.top, b.bottom];
  const [x1, x2] = [(a.left + a.right) / 2, (b.left + b.right) / 2];
  const bend = (y2 - y1) / 2;
  return [{ x: x1, y: y1 }, { x: x1, y: y1 + bend }, { x: x2, y: y2 - bend }, { x: x2, y: y2 }];
}

/** As an SVG path's `d`. */
export function pathOf([from, ...rest]: Curve): string {
  const text = ({ x, y }: Point): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return `M${text(from)}C${rest.map(text).join(" ")}`;
}

/** The point of a curve at `t`, from 0 to 1. */
export function pointAt([a, b, c, d]: Curve, t: number): Point {
  const u = 1 - t;
  const [p, q, r, s] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return { x: p * a.x + q * b.x + r * c.x + s * d.x, y: p * a.y + q * b.y + r * c.y + s * d.y };
}
