import * as code from "./clients.ts";
import * as httpOutbox from "./http-outbox/http-outbox.ts";
import { type ConnectOptions, type EnvironmentFor, open } from "./connect.ts";
import type { TabMQ } from "./tabmq.ts";

/** `connect` with everything outside injected and all code there from the beginning: for Node, tests and the simulator. */
export function connectWith(environmentFor: EnvironmentFor, options: ConnectOptions = {}): Promise<TabMQ> {
  return open(environmentFor, options, () => code, () => httpOutbox);
}
