/** How every test of the node project ends: with a look at the stores that brokers have opened in it (sound-stores.ts). */
import { afterEach } from "vitest";

// The first to be registered is the last to run: the test's own have closed what is open.
afterEach(() => globalThis.storesOfTest?.check());
