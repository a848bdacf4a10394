import { PROPERTY } from "./properties.ts";
import { findName } from "./record-properties.ts";

/** Only the broker writes them: it would believe what they say. */
const OWN: readonly string[] = [PROPERTY.FINISHES, PROPERTY.COMPLETES, PROPERTY.REAL_TOPIC, PROPERTY.REAL_QID, PROPERTY.TIMER_OUT_MS, PROPERTY.TIMER_ROLL_TIMES];
/** They say that a message goes elsewhere first: only in a frame that is marked so. */
const ROUTING: readonly string[] = [PROPERTY.DELAY, PROPERTY.TRAN_MSG, PROPERTY.TIMER_DELAY_SEC, PROPERTY.TIMER_DELAY_MS, PROPERTY.TIMER_DELIVER_MS];

const encoder = new TextEncoder();
const OWN_NAMES = OWN.map((name) => encoder.encode(name));
const ALL = [...OWN, ...ROUTING];
const ALL_NAMES = ALL.map((name) => encoder.encode(name));

/** A property of the whole, checked record at `start` that a client must not send in such a frame; null = it has none. */
export function forbiddenProperty(records: Uint8Array, start: number, isDiverted: boolean): string | null {
  return ALL[findName(records, start, isDiverted ? OWN_NAMES : ALL_NAMES)] ?? null;
}
