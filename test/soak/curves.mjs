// @ts-check
/** Curves as an SVG picture: one panel each, from zero up, the judged half tinted, its trend as a line. */

/**
 * @typedef {object} Curve
 * @property {string} name
 * @property {string} unit
 * @property {number[]} values
 * @property {{ from: number, slope: number, median: number, drift: number, allowed: number, isFlat: boolean }} verdict
 */

const [WIDTH, HEIGHT, COLUMNS] = [380, 190, 2];
const BOX = { left: 46, top: 44, right: 12, bottom: 26 };

/**
 * @param {{ title: string, subtitle: string, minutes: number[], curves: Curve[], isJudged?: boolean }} picture isJudged: default true
 * @returns {string}
 */
export function draw({ title, subtitle, minutes, curves, isJudged = true }) {
  const rows = Math.ceil(curves.length / COLUMNS);
  const [width, height] = [WIDTH * COLUMNS + 20, rows * HEIGHT + 64];
  const panels = curves.map((curve, at) => panel(curve, isJudged, minutes, 10 + (at % COLUMNS) * WIDTH, 58 + Math.floor(at / COLUMNS) * HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="11" fill="#334">
<rect width="100%" height="100%" fill="#fff"/>
<text x="20" y="24" font-size="16" font-weight="600">${escape(title)}</text>
<text x="20" y="42">${escape(subtitle)}</text>
${panels.join("\n")}
</svg>
`;
}

/**
 * @param {Curve} curve
 * @param {boolean} isJudged
 * @param {number[]} minutes
 * @param {number} left
 * @param {number} top
 */
function panel({ name, unit, values, verdict }, isJudged, minutes, left, top) {
  const end = minutes.at(-1) ?? 1;
  const most = nice(Math.max(...values, 0));
  const inner = { width: WIDTH - BOX.left - BOX.right, height: HEIGHT - BOX.top - BOX.bottom };
  const x = (/** @type {number} */ minute) => round(left + BOX.left + (minute / end) * inner.width);
  const y = (/** @type {number} */ value) => round(top + BOX.top + inner.height * (1 - Math.min(Math.max(value, 0), most) / most));
  const points = values.map((value, at) => `${x(minutes[at] ?? 0)},${y(value)}`).join(" ");
  const from = minutes[verdict.from] ?? 0;
  const middle = (from + end) / 2;
  const trend = (/** @type {number} */ minute) => y(verdict.median + verdict.slope * (minute - middle));
  const [color, said] = !isJudged ? ["#667", "too short to judge"] : verdict.isFlat ? ["#2a7", "flat"] : ["#c33", "rises"];
  const sign = verdict.drift < 0 ? "−" : "+";
  return `<g>
<text x="${left + BOX.left}" y="${top + 18}" font-weight="600">${escape(name)}</text>
<text x="${left + BOX.left}" y="${top + 33}" fill="${color}">${said}: ${sign}${figure(Math.abs(verdict.drift))} ${escape(unit)} in the second half; up to ${figure(verdict.allowed)} is allowed</text>
<rect x="${x(from)}" y="${y(most)}" width="${round(x(end) - x(from))}" height="${inner.height}" fill="#eef4fa"/>
<path d="M${x(0)} ${y(most)}V${y(0)}H${x(end)}" fill="none" stroke="#99a"/>
<text x="${left + BOX.left - 5}" y="${y(most) + 4}" text-anchor="end">${figure(most)}</text>
<text x="${left + BOX.left - 5}" y="${y(0) + 4}" text-anchor="end">0</text>
<text x="${x(end)}" y="${y(0) + 15}" text-anchor="end">${figure(end)} min</text>
<polyline points="${points}" fill="none" stroke="#357" stroke-width="1.3"/>
<line x1="${x(from)}" y1="${trend(from)}" x2="${x(end)}" y2="${trend(end)}" stroke="${color}" stroke-width="2" stroke-dasharray="5 3"/>
</g>`;
}

/** @param {number} most the next of 1, 2, 5, 10, … above */
function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most || 1));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most * 1.05) ?? most * 2;
}

/** @param {number} value */
export function figure(value) {
  return Number(value.toPrecision(3)).toString();
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** @param {string} text */
function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
