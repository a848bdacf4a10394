import type { DurableState } from "../storage/durable-state.ts";

const KEY = "import";

/** The import under way, or the one that was finished last. Durable, so that the next broker goes on with it. */
export interface ImportRow {
  id: string;
  isDone: boolean;
}

export function readImport(state: DurableState): ImportRow | undefined {
  return state.get(KEY) as ImportRow | undefined;
}

export function saveImport(state: DurableState, row: ImportRow): Promise<void> {
  return state.save(KEY, row);
}
