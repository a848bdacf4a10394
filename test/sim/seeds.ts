/** Seeds that have found something, or nearly so; they run in every `npm test`, the long ones with TABMQ_LONG=1. What each once showed stands beside it. */
export const SEEDS: readonly { seed: number; about: string; isLong?: boolean }[] = [
  { seed: 8, about: "a listener outlasts the patience of shutdown" },
  { seed: 18, about: "a group at a queue that holds nothing, when the newest commits have been lost" },
  { seed: 9, about: "the clock is set back between two brokers while messages wait for their retries" },
  { seed: 128, about: "the log is cut, and with it goes the head of a delay level: what stood behind it was delivered at its time" },
  { seed: 145, about: "a closing tab of another version starts its worker again" },
  { seed: 203, about: "a send waits for its route first: it took two timeouts" },
  { seed: 348, about: "the quota is used up, the host dies, and the first in line for the news is frozen" },
  { seed: 100235, about: "a queue is taken away and given back before the broker knows how far its consumer has come" },
  { seed: 261045885, about: "the workers die while a tab greets them, and it is closed while it waits" },
  { seed: 700000094, about: "the only consumers that are left leave as the world is healed" },
  { seed: 700000305, about: "a listener outlasts the patience of shutdown, and its queue had been taken away before", isLong: true },
];
