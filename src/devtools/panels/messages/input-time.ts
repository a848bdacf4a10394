/** As a field for date and time wants it: local time, seconds. */
export function inputTime(time: number | undefined): string {
  if (time === undefined || Number.isNaN(new Date(time).getTime())) return "";
  const local = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

/** What such a field holds, ms since 1970; undefined = nothing. `before`: what it showed at first, which may have had ms. */
export function timeIn(text: string, before: number | undefined): number | undefined {
  if (text === inputTime(before)) return before;
  const time = new Date(text).getTime();
  return Number.isNaN(time) ? undefined : Math.max(0, time);
}
