import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The log that LevelDB writes to for a profile's IndexedDB (of one origin); undefined when there is none. */
export function levelDbLog(profile: string): string | undefined {
  const all = join(profile, "Default", "IndexedDB");
  if (!existsSync(all)) return undefined;
  const folder = readdirSync(all).find((name) => name.endsWith(".leveldb"));
  if (folder === undefined) return undefined;
  const logs = readdirSync(join(all, folder)).filter((name) => name.endsWith(".log"));
  const newest = logs.toSorted().at(-1);
  return newest && join(all, folder, newest);
}
