/** That a consumer of some tab was given a message: what the feed shows, and what tabs tell each other. */
export interface Receipt {
  clientId: string;
  group: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  attempt: number;
  tags: string;
  keys: string;
  /** The beginning of a text or JSON body; empty for bytes. */
  body: string;
  bodyBytes: number;
  bornAt: number;
  receivedAt: number;
  /** How often its listener did not consume: 1 or 0. */
  failed: number;
}

/** The feed is a window, not a store. */
export const MAX_RECEIPTS = 200;
export const MAX_BODY_SHOWN = 160;
const MAX_TEXT = 256;

const TEXTS = ["clientId", "group", "topic", "tags", "keys", "body"] as const;
const NUMBERS = ["queueId", "queueOffset", "attempt", "bodyBytes", "bornAt", "receivedAt", "failed"] as const;

/** What another tab sent; undefined when it is not a receipt: that tab may run another version of this page. */
export function toReceipt(value: unknown): Receipt | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Record<string, unknown>;
  if (TEXTS.some((name) => typeof given[name] !== "string")) return undefined;
  if (NUMBERS.some((name) => !Number.isFinite(given[name]))) return undefined;
  const texts = Object.fromEntries(TEXTS.map((name) => [name, (given[name] as string).slice(0, MAX_TEXT)]));
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, given[name]]));
  return { ...texts, ...numbers } as unknown as Receipt;
}
