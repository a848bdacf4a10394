/** Randomness as a dependency, so that a simulator can replay it. */
export interface Random {
  /** `count` random bytes. */
  bytes(count: number): Uint8Array;
}

export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/** A name nobody else has: 16 random bytes as 32 hexadecimal digits. */
export function randomName(random: Random): string {
  return Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random integer from 0 to 2^32 - 1. */
export function randomUint32(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
