// @ts-check
/**
 * `npm run generate`: makes public/icon-*.png of public/favicon.svg, which is rectangles only. No browser is asked, so
 * that the same pixels come out everywhere.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { crc32, deflateSync } from "node:zlib";

const PUBLIC = new URL("../../public/", import.meta.url);
/** A pixel is as full as so many by so many points in it are. */
const POINTS = 8;

/** Maskable: the ground goes to the edges, the system cuts its own shape; what matters lies within the inner 80 %. */
export const ICONS = [
  { file: "icon-192.png", size: 192, isMaskable: false },
  { file: "icon-512.png", size: 512, isMaskable: false },
  { file: "icon-maskable-512.png", size: 512, isMaskable: true },
];

/** @param {{ file: string }} icon */
export function iconUrl({ file }) {
  return new URL(file, PUBLIC);
}

/** @typedef {{ x: number, y: number, width: number, height: number, radius: number, colour: number[], opacity: number }} Shape */

/** RGBA, row by row. @param {{ size: number, isMaskable: boolean }} icon */
export async function pixelsOf({ size, isMaskable }) {
  const shapes = await readShapes();
  const [ground] = shapes;
  if (isMaskable && ground) ground.radius = 0;
  const pixels = new Uint8Array(size * size * 4);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) pixels.set(pixelAt(shapes, x, y, 32 / size), (y * size + x) * 4);
  }
  return pixels;
}

/** @returns {Promise<Shape[]>} */
async function readShapes() {
  const svg = await readFile(new URL("favicon.svg", PUBLIC), "utf8");
  /** @type {Shape[]} */
  const shapes = [];
  let inherited = "#000";
  for (const [, tag, text = ""] of svg.matchAll(/<(\w+)([^>]*?)\/?>/g)) {
    const attributes = Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    if (tag === "g") inherited = attributes.fill ?? inherited;
    if (tag !== "rect") continue;
    const number = (/** @type {string} */ name, missing = 0) => Number(attributes[name] ?? missing);
    shapes.push({
      x: number("x"), y: number("y"), width: number("width"), height: number("height"), radius: number("rx"),
      colour: colourOf(attributes.fill ?? inherited), opacity: number("opacity", 1),
    });
  }
  return shapes;
}

/** @param {string} hex */
function colourOf(hex) {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit) : hex.slice(1).match(/../g) ?? [];
  return digits.map((pair) => Number.parseInt(pair, 16));
}

/** @param {Shape[]} shapes @param {number} x @param {number} y @param {number} unit */
function pixelAt(shapes, x, y, unit) {
  let [red, green, blue, alpha] = [0, 0, 0, 0];
  for (const shape of shapes) {
    const cover = coverage(shape, x, y, unit) * shape.opacity;
    if (cover === 0) continue;
    const left = alpha * (1 - cover);
    const sum = cover + left;
    const mix = (/** @type {number} */ below, /** @type {number} */ above) => (above * cover + below * left) / sum;
    [red, green, blue] = [mix(red, shape.colour[0] ?? 0), mix(green, shape.colour[1] ?? 0), mix(blue, shape.colour[2] ?? 0)];
    alpha = sum;
  }
  return [red, green, blue, alpha * 255].map(Math.round);
}

/** @param {Shape} shape @param {number} column @param {number} row @param {number} unit */
function coverage(shape, column, row, unit) {
  if ((column + 1) * unit <= shape.x || column * unit >= shape.x + shape.width || (row + 1) * unit <= shape.y || row * unit >= shape.y + shape.height) return 0;
  let inside = 0;
  for (let at = 0; at < POINTS * POINTS; at++) {
    const x = (column + ((at % POINTS) + 0.5) / POINTS) * unit;
    const y = (row + (Math.floor(at / POINTS) + 0.5) / POINTS) * unit;
    if (x < shape.x || x > shape.x + shape.width || y < shape.y || y > shape.y + shape.height) continue;
    // How far into a rounded corner it is.
    const dx = Math.max(shape.x + shape.radius - x, x - (shape.x + shape.width - shape.radius), 0);
    const dy = Math.max(shape.y + shape.radius - y, y - (shape.y + shape.height - shape.radius), 0);
    if (Math.hypot(dx, dy) <= shape.radius || dx === 0 || dy === 0) inside++;
  }
  return inside / (POINTS * POINTS);
}

/** @param {Uint8Array} pixels @param {number} size */
export function png(pixels, size) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  // 8 bits a channel, RGBA
  header.set([8, 6, 0, 0, 0], 8);
  const rows = Buffer.alloc(size * (size * 4 + 1));
  for (let y = 0; y < size; y++) rows.set(pixels.subarray(y * size * 4, (y + 1) * size * 4), y * (size * 4 + 1) + 1);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const icon of ICONS) await writeFile(iconUrl(icon), png(await pixelsOf(icon), icon.size));
}
