import { webLocks } from "../../../src/platform/locks.ts";
import { serveWithout } from "./host.ts";

/** Waits in line for ever, however silent the host is. */
const real = webLocks(navigator.locks);
serveWithout({ locks: { acquire: (name, options) => (name.endsWith("/writer") && options?.steal === true ? new Promise(() => {}) : real.acquire(name, options)) } });
