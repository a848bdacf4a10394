import type { ConnectOptions } from "../../src/client/connect.ts";

/** Most tests know by number what is in their log: those that are about trace ask for it. What is no good stays as it is. */
export function untraced(options: ConnectOptions): ConnectOptions {
  try {
    return Object.getPrototypeOf(options) === Object.prototype ? { ...options, broker: { traceEnable: false, ...options.broker } } : options;
  } catch {
    return options;
  }
}
