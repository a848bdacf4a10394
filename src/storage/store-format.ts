import { MQError } from "../model/errors.ts";
import { STORE_FORMAT } from "../protocol/api.ts";
import type { BlockStore } from "./block-store.ts";

/** The state row that says in what format a store is; none = 1, the first. A version that changes the format writes it before anything else. */
const FORMAT_KEY = "format";

/**
 * Refuses a store that a later version has written: what this one cannot read it would take for damage, and cut or
 * write over. To be asked before the store is taken over: nothing is changed.
 */
export async function refuseLaterFormat(store: BlockStore): Promise<void> {
  const rows = await store.readState(FORMAT_KEY);
  const format = rows.find(([key]) => key === FORMAT_KEY)?.[1] ?? 1;
  // What is no number is none that we know.
  if (typeof format === "number" && format <= STORE_FORMAT) return;
  throw new MQError(
    "UPGRADE_REQUIRED",
    `This namespace was stored by a later version of TabMQ, in format ${String(format)}; this version reads formats up to ${STORE_FORMAT}. Reload the page. Nothing was changed.`,
  );
}
