import { MQError } from "./errors.ts";
import { PROPERTY } from "./properties.ts";

/** What a message's properties ask for: a time, ms since 1970, or null = none of them does. */
type Asked = number | null;

const { TIMER_DELAY_SEC, TIMER_DELAY_MS, TIMER_DELIVER_MS } = PROPERTY;
/** In the order in which they count. */
const ASKED: readonly [name: string, when: (value: number, now: number) => number][] = [
  [TIMER_DELAY_SEC, (value, now) => now + value * 1000],
  [TIMER_DELAY_MS, (value, now) => now + value],
  [TIMER_DELIVER_MS, (value) => value],
];

function askedTime(properties: Readonly<Record<string, string>>, now: number): Asked {
  for (const [name, when] of ASKED) {
    const value = properties[name];
    if (value === undefined) continue;
    if (!/^\d{1,16}$/.test(value)) throw illegal(`${name} is "${value.slice(0, 40)}", which is no whole number of milliseconds.`);
    return when(Number(value), now);
  }
  return null;
}

/**
 * When a message with these properties is to be delivered, ms since 1970; null = at once: it asks for no time, or for
 * one that is not in the future.
 * Source: RocketMQ broker/util/HookUtils.transformTimerMessage, without its ticks of a second.
 * @throws MQError MESSAGE_ILLEGAL: beyond the longest delay (RocketMQ's WHEEL_TIMER_MSG_ILLEGAL), or no time
 */
export function timerDue(properties: Readonly<Record<string, string>>, now: number, maxDelay: number): number | null {
  const due = askedTime(properties, now);
  if (due === null || due <= now) return null;
  if (due - now > maxDelay) throw illegal(`it is to be delivered in ${due - now} ms; timerMaxDelay is ${maxDelay} ms.`);
  return due;
}

const TIMER_PROPERTIES: ReadonlySet<string> = new Set([TIMER_DELAY_SEC, TIMER_DELAY_MS, TIMER_DELIVER_MS, PROPERTY.TIMER_OUT_MS, PROPERTY.TIMER_ROLL_TIMES]);

/** What is left when it has been seen to. */
export function withoutTimer(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !TIMER_PROPERTIES.has(name)));
}

function illegal(reason: string): MQError {
  return new MQError("MESSAGE_ILLEGAL", `The message's time: ${reason}`, { field: "message" });
}

/** What names a timer that can be called off. RocketMQ's RecallMessageHandle, version 1. */
export interface RecallHandle {
  topic: string;
  brokerName: string;
  /** ms since 1970 */
  due: number;
  msgId: string;
}

/** "v1 topic broker due+1 msgId" in base64url, which is all ASCII: names are. */
export function recallHandle({ topic, brokerName, due, msgId }: RecallHandle): string {
  return btoa(`v1 ${topic} ${brokerName} ${due + 1} ${msgId}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const HANDLE = /^v1 (\S{1,255}) (\S{1,127}) (\d{1,15}) (\S{1,127})$/;
const MAX_HANDLE_LENGTH = 1024;

/** @throws MQError INVALID_PARAMETER with `field` when it is no handle */
export function readRecallHandle(handle: unknown, field = "recallHandle"): RecallHandle {
  const [, topic, brokerName, after, msgId] = HANDLE.exec(typeof handle === "string" && handle.length <= MAX_HANDLE_LENGTH ? decoded(handle) : "") ?? [];
  if (topic === undefined) throw new MQError("INVALID_PARAMETER", `${field} must be what a send result has as its recallHandle.`, { field });
  return { topic, brokerName: brokerName!, due: Number(after) - 1, msgId: msgId! };
}

function decoded(handle: string): string {
  try {
    return atob(handle.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
}
