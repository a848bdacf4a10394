// @ts-check
/** What the benches' pages share. */

/** Enough bodies that no layer below meets one twice in a hurry. */
const DIFFERENT = 4096;

/**
 * Bodies by number, random, so that no layer below can compress them.
 * @param {number} size bytes of each
 * @returns {(at: number) => Uint8Array}
 */
export function bodies(size) {
  const bytes = new Uint8Array(DIFFERENT * size);
  for (let at = 0; at < bytes.byteLength; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return (at) => {
    const start = (at * size) % bytes.byteLength;
    return bytes.subarray(start, start + size);
  };
}

/**
 * Time of `count` sends in a loop, none awaited before the next, until all are answered, ms.
 * @param {number} count
 * @param {(at: number) => Uint8Array} body
 * @param {(body: Uint8Array) => Promise<unknown>} send
 */
export async function burst(count, body, send) {
  /** @type {Promise<unknown>[]} */
  const sent = [];
  const began = performance.now();
  for (let i = 0; i < count; i++) sent.push(send(body(i)));
  await Promise.all(sent);
  return performance.now() - began;
}

/** @param {() => Promise<unknown>} act */
export async function timeOf(act) {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
