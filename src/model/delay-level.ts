import { MQError } from "./errors.ts";
import { MAX_DELAY_LEVELS } from "./limits.ts";

/** RocketMQ's `messageDelayLevel`. */
export const DEFAULT_MESSAGE_DELAY_LEVEL = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What Java's Long.parseLong takes, and a unit. */
const LEVEL = /^([+-]?\d+)(ms|s|m|h|d)$/;

/**
 * The delays of a level table such as "1s 5s 10s", ms; [0] is level 1. Units: ms, s, m, h, d; one space between two levels.
 * Source: RocketMQ broker/schedule/ScheduleMessageService.parseDelayLevel.
 * @throws MQError INVALID_PARAMETER with `field`
 */
export function parseDelayLevels(text: string, field = "messageDelayLevel"): number[] {
  if (typeof text !== "string") throw illegal(field, "a level table is text such as \"1s 5s 10s\".");
  // As Java splits: spaces at the end are nothing.
  const levels = text.replace(/ +$/, "").split(" ");
  if (levels.length > MAX_DELAY_LEVELS) throw illegal(field, `${levels.length} levels; ${MAX_DELAY_LEVELS} are allowed.`);
  return levels.map((level, at) => {
    const [, count, unit] = LEVEL.exec(level) ?? [];
    const delay = count === undefined ? Number.NaN : Number(count) * UNITS[unit!]!;
    if (!Number.isSafeInteger(delay)) throw illegal(field, `level ${at + 1} is "${level.slice(0, 40)}"; a level is a number and one of the units ms, s, m, h, d.`);
    return delay;
  });
}

/** The 18 levels, ms; [0] is level 1. */
export const DEFAULT_DELAY_LEVELS: readonly number[] = Object.freeze(parseDelayLevels(DEFAULT_MESSAGE_DELAY_LEVEL));

function illegal(field: string, reason: string): MQError {
  return new MQError("INVALID_PARAMETER", `${field}: ${reason}`, { field });
}
