import type { Key } from "../../i18n/translate.ts";

export function permKey(perm: number): Key {
  return perm === 6 ? "topics.perm.both" : perm === 4 ? "topics.perm.read" : perm === 2 ? "topics.perm.write" : "topics.perm.neither";
}
