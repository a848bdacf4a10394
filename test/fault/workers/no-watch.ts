import { webLocks } from "../../../src/platform/locks.ts";
import { serveWithout } from "./host.ts";

/** Does not notice when a client's lock is free: a tab that is gone counts as one that is silent. */
const real = webLocks(navigator.locks);
serveWithout({ locks: { acquire: (name, options) => (name.includes("/client/") ? new Promise(() => {}) : real.acquire(name, options)) } });
