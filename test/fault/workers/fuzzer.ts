import fc from "fast-check";
import { FRESH, goodHello, hostileMessage } from "../../fuzz/hostile-messages.ts";

/** For a page: the messages of the raw-port fuzzer. What a page cannot post is left out. */
function hostileMessages(seed: number, count: number, id: () => string): unknown[] {
  return fc.sample(hostileMessage, { seed, numRuns: count }).map((message) => {
    const wantsId = typeof message === "object" && message !== null && (message as { id?: unknown }).id === FRESH && (message as { type?: unknown }).type !== "RELEASE";
    return wantsId ? Object.defineProperty(message, "id", { value: id(), enumerable: true }) : message;
  });
}

Object.assign(globalThis, { hostileMessages, goodHello });
