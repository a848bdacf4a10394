// @ts-check
/** Numbers of a bench and how they are shown. Runs in Node and in the page. */

/** @param {number[]} values */
export function median(values) {
  if (values.length === 0) throw new Error("no values, no median");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] ?? 0 : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/**
 * The mean of the middle half: a median for times that a coarse clock has rounded.
 * @param {number[]} values
 */
export function midmean(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(sorted.length / 4);
  const middle = sorted.slice(cut, sorted.length - cut);
  if (middle.length === 0) throw new Error("no values, no mean");
  return middle.reduce((sum, value) => sum + value, 0) / middle.length;
}

/**
 * Three significant digits or so: more would only show the noise.
 * @param {number} value
 */
export function figure(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 3);
}

/**
 * A plain text table; the first column is text, the others are numbers.
 * @param {string[][]} rows the first is the head
 */
export function table(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ").trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return lines.join("\n");
}
