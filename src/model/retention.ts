/**
 * RocketMQ's rules for what is deleted when (CleanCommitLogService), as pure functions. What RocketMQ says of the disk
 * of a broker holds here for the room that the browser grants the origin.
 */

/** RocketMQ's diskMaxUsedSpaceRatio, diskSpaceCleanForciblyRatio and diskSpaceWarningLevelRatio. */
export const DELETE_RATIO = 0.75;
export const CLEAN_FORCIBLY_RATIO = 0.85;
export const FULL_RATIO = 0.9;

/** Files of one round; RocketMQ's deleteFilesBatchMax. */
export const DELETE_BATCH_MAX = 10;

export interface DiskRule {
  /** What has expired is deleted at any hour. */
  deleteTriggered: boolean;
  /** The oldest is deleted whether it has expired or not. */
  cleanAtOnce: boolean;
  /** Sends are refused. */
  writesRefused: boolean;
}

/** What follows from the used share of the room. */
export function diskRule(usedRatio: number): DiskRule {
  return { deleteTriggered: usedRatio > DELETE_RATIO, cleanAtOnce: usedRatio > CLEAN_FORCIBLY_RATIO, writesRefused: usedRatio > FULL_RATIO };
}

/**
 * How many of the files, oldest first, one round deletes. A file has expired when its newest message is `reservedMs` old.
 * It stops at the first file that stays, and the last file stays always.
 */
export function filesToDelete(
  lastModified: readonly number[],
  { now, reservedMs, cleanAtOnce, batchMax = DELETE_BATCH_MAX }: { now: number; reservedMs: number; cleanAtOnce: boolean; batchMax?: number },
): number {
  const most = Math.min(lastModified.length - 1, batchMax);
  const kept = lastModified.findIndex((time) => !cleanAtOnce && now - time < reservedMs);
  return Math.max(0, Math.min(most, kept < 0 ? lastModified.length : kept));
}

/** RocketMQ's deleteWhen: hours of the day divided by ";", local time. Empty = any hour. Null = it is not that. */
export function parseDeleteWhen(text: string): number[] | null {
  const hours = text.split(";").map((hour) => hour.trim()).filter((hour) => hour !== "");
  return hours.every((hour) => /^\d{1,2}$/.test(hour) && Number(hour) < 24) ? hours.map(Number) : null;
}
