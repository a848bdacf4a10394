const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const whole = new Intl.NumberFormat("en");

export function time(at: number): string {
  return clock.format(at);
}

export function count(value: number): string {
  return whole.format(value);
}

/** "1 message", "3 messages". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function milliseconds(value: number): string {
  if (value < 10_000) return `${Math.max(0, Math.round(value))} ms`;
  const seconds = value / 1000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(value) / 10), units.length);
  const scaled = value / 2 ** (10 * power);
  return `${scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[power - 1]!}`;
}

export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** The library's messages begin with the field, for logs. Beside the field itself that is noise. */
export function sentence(message: string): string {
  const text = message.replace(/^[\w.[\]]+(, at \d+)?: /, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
