import { type Curve, type Places, pointAt } from "./places.ts";

/** How long a dot is on its way, ms. */
const TRAVEL = 650;
const RADIUS = 3.2;
/** More are not begun: a map is to be read, and drawn sixty times a second. */
const MOST = 240;

interface Dot {
  curve: Curve;
  colour: string;
  start: number;
}

/** Dots that travel over the map. Frames are asked for only while there are any, and nothing is measured in one. */
export class Dots {
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  readonly #places: Places;
  #dots: Dot[] = [];
  #frame = 0;
  #scale = 1;

  constructor(canvas: HTMLCanvasElement, places: Places) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d")!;
    this.#places = places;
  }

  /** The map has another size, or things stand elsewhere: what is on its way would arrive nowhere. */
  fit(): void {
    this.#scale = Math.min(2, globalThis.devicePixelRatio || 1);
    const [width, height] = [Math.round(this.#places.width * this.#scale), Math.round(this.#places.height * this.#scale)];
    if (this.#canvas.width !== width || this.#canvas.height !== height) [this.#canvas.width, this.#canvas.height] = [width, height];
    this.clear();
  }

  /** So many, one after the other within `during` ms. */
  send(from: string, to: string, count: number, during: number): void {
    const curve = this.#places.curve(from, to);
    if (curve === undefined || document.hidden) return;
    const colour = this.#places.colour(from.startsWith("queue:") || from === "group" ? to : from);
    const now = performance.now();
    for (let at = 0; at < count && this.#dots.length < MOST; at++) this.#dots.push({ curve, colour, start: now + ((at + Math.random()) * during) / count });
    if (this.#frame === 0 && this.#dots.length > 0) this.#frame = requestAnimationFrame(this.#draw);
  }

  clear(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#dots = [];
    this.#pen.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  readonly #draw = (now: number): void => {
    const pen = this.#pen;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    pen.setTransform(this.#scale, 0, 0, this.#scale, 0, 0);
    this.#dots = this.#dots.filter(({ start }) => now - start < TRAVEL);
    for (const { curve, colour, start } of this.#dots) {
      const t = (now - start) / TRAVEL;
      if (t < 0) continue;
      const { x, y } = pointAt(curve, t * t * (3 - 2 * t));
      pen.fillStyle = colour;
      pen.beginPath();
      pen.arc(x, y, RADIUS, 0, 2 * Math.PI);
      pen.fill();
    }
    this.#frame = this.#dots.length > 0 ? requestAnimationFrame(this.#draw) : 0;
  };
}
