/** Enough bodies that no layer below meets one twice in a hurry. */
const DIFFERENT = 4096;
/** What `getRandomValues` gives at once. */
const MOST_RANDOM = 65_536;

/** Bodies by number, random, so that no layer below can compress them. */
export function bodies(size: number): (at: number) => Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(DIFFERENT * size);
  for (let at = 0; at < bytes.byteLength; at += MOST_RANDOM) crypto.getRandomValues(bytes.subarray(at, at + MOST_RANDOM));
  return (at) => {
    const start = (at * size) % bytes.byteLength;
    return bytes.subarray(start, start + size);
  };
}
