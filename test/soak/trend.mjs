// @ts-check
/** Whether a curve is flat, judged so that a few odd samples do not matter. */

/**
 * The median of the slopes between all pairs of points (Theil and Sen): a quarter of the samples may be anything.
 * @param {number[]} xs
 * @param {number[]} ys
 */
export function theilSen(xs, ys) {
  const points = xs.map((x, at) => ({ x, y: ys[at] ?? 0 }));
  const slopes = points.flatMap((one, at) => points.slice(at + 1).map((other) => (other.y - one.y) / (other.x - one.x)));
  return median(slopes.filter((slope) => Number.isFinite(slope)));
}

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = 0, high = low] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/**
 * How far the second half of a curve rises from its beginning to its end, and whether that is within the tolerance.
 * Falling is no leak.
 * @param {number[]} xs
 * @param {number[]} ys
 * @param {{ absolute: number, relative: number }} tolerance the larger one counts; relative to the half's median
 */
export function judge(xs, ys, tolerance) {
  const from = xs.length >> 1;
  const [late, values] = [xs.slice(from), ys.slice(from)];
  const slope = theilSen(late, values);
  const middle = median(values);
  const drift = slope * ((late.at(-1) ?? 0) - (late[0] ?? 0));
  const allowed = Math.max(tolerance.absolute, tolerance.relative * Math.abs(middle));
  return { from, slope, median: middle, drift, allowed, isFlat: drift <= allowed };
}
