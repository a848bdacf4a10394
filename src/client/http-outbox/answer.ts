/** What an HTTP answer means for the message it answers. Pure; RFC 9110, RFC 6585, RFC 8470. */

/** `done`: it is where it belongs. `retry`: the same request may be taken later. `dead`: the same request will be refused again. */
export type HttpVerdict = "done" | "retry" | "dead";

/** Refusals that are about the moment and not about the request: Request Timeout, Too Early, Too Many Requests. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** A header that asks for more than this is not believed, ms: a misconfigured server must not silence an outbox for a year. */
export const MAX_RETRY_AFTER = 24 * 3_600_000;

export function verdictOf(status: number): HttpVerdict {
  if (status >= 200 && status < 300) return "done";
  return status >= 500 || PASSING.has(status) ? "retry" : "dead";
}

/**
 * How long a server asks to wait, ms; null = it does not say, or nothing that can be read. A date is compared with the server's
 * own `Date`, where that may be read (across origins it is hidden unless exposed): a device's clock is often wrong.
 */
export function retryAfter(headers: Pick<Headers, "get">, now: number): number | null {
  const text = headers.get("retry-after")?.trim() ?? "";
  const delay = /^\d+$/.test(text) ? Number(text) * 1000 : dateOf(text) - dateOf(headers.get("date") ?? "", now);
  return Number.isNaN(delay) ? null : Math.min(Math.max(0, delay), MAX_RETRY_AFTER);
}

/** Every form of an HTTP date begins with the day of the week; `Date.parse` alone takes "1.5" for a date. */
function dateOf(text: string, otherwise = Number.NaN): number {
  const time = /^(mon|tue|wed|thu|fri|sat|sun)/i.test(text.trim()) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? otherwise : time;
}

export interface Backoff {
  /** ms before the second try. */
  min: number;
  /** ms at most. */
  max: number;
}

/** ms before the next try, after `failures` in a row: twice as long each time, and then by up to half less, so that tabs and devices do not come all at once. `chance`: from 0 to 1. */
export function backoff(failures: number, { min, max }: Backoff, chance: number): number {
  const full = Math.min(max, min * 2 ** Math.min(failures - 1, 40));
  return Math.round(full * (1 - chance / 2));
}
