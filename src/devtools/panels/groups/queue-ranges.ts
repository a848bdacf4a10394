/** 0, 1, 2, 5 as "0–2, 5": a member may have a hundred queues. */
export function queueRanges(ids: readonly number[]): string {
  const ranges: [from: number, to: number][] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && id === last[1] + 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`)).join(", ");
}
