import { javaHash } from "./hash.ts";

/** What the key index files a message under: its unique id, and every word of its keys. Source: RocketMQ store/index/IndexService.java. */
export function indexKeys(topic: string, keys: string, uniqueKey: string | null): string[] {
  const words = keys.split(" ").filter((key) => key !== "");
  return [...(uniqueKey ? [uniqueKey] : []), ...words].map((key) => `${topic}#${key}`);
}

/** The absolute value of the Java hash, and 0 for the one integer that has none. Source: RocketMQ store/index/IndexFile.java. */
export function keyHash(text: string): number {
  const hash = javaHash(text);
  return hash === -(2 ** 31) ? 0 : Math.abs(hash);
}
