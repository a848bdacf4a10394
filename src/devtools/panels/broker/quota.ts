import type { Diagnostics } from "../../../index.ts";

/** Shares of the quota at which retention changes its ways, and what it does from there on. RocketMQ's ratios. */
export const QUOTA_MARKS = [
  { share: 0.75, rule: "expired" },
  { share: 0.85, rule: "oldest" },
  { share: 0.9, rule: "refused" },
] as const;

export type QuotaRule = (typeof QUOTA_MARKS)[number]["rule"];

/** What retention does at this share of the quota; null = nothing special. */
export function quotaRule(share: number): QuotaRule | null {
  return QUOTA_MARKS.findLast((mark) => share > mark.share)?.rule ?? null;
}

/** What some browsers say instead of the room that is left, lest a page learn something of the disk: so much above what is used, always. */
const NO_ANSWER = 10 * 2 ** 30;

export function isQuotaKnown({ usage, quota }: Pick<Diagnostics, "usage" | "quota">): boolean {
  return usage !== undefined && quota !== undefined && quota - usage !== NO_ANSWER;
}

/** The share that retention goes by: what it has just removed is still in the browser's estimate. Until it has looked, the browser's. */
export function usedShare({ usage, quota, broker: { retention } }: Diagnostics): number {
  if (retention.usedRatio > 0 || usage === undefined || quota === undefined || quota <= 0) return retention.usedRatio;
  return usage / quota;
}
