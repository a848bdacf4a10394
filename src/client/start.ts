import type { ConsumeFromWhere } from "../protocol/api.ts";
import { oneOf, optional, time } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";

/** RocketMQ's default for a group that begins at a time, ms before its consumer is made. */
const HALF_AN_HOUR = 30 * 60_000;

/** Where a group begins that has no offset yet. */
export interface Start {
  consumeFromWhere: ConsumeFromWhere;
  /** Store time, ms. */
  consumeTimestamp?: number | undefined;
}

export const startFields = {
  consumeFromWhere: optional(oneOf("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP")),
  consumeTimestamp: optional(time),
};

export function startOf({ consumeFromWhere = "CONSUME_FROM_LAST_OFFSET", consumeTimestamp }: Partial<Start>, { environment }: Connection): Start {
  if (consumeFromWhere !== "CONSUME_FROM_TIMESTAMP") return { consumeFromWhere };
  return { consumeFromWhere, consumeTimestamp: consumeTimestamp ?? environment.clock.now() - HALF_AN_HOUR };
}
