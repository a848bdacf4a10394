import { locksWithoutWriter, serveWithout } from "./host.ts";

/** Without the writer lock: only the epoch is left to stop a second host. */
serveWithout({ locks: locksWithoutWriter() });
