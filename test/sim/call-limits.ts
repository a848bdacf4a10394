import { CALL_TIMEOUT, CONNECT_TIMEOUT, SUCCESSION_TIMEOUT } from "../../src/model/limits.ts";

/** For slow timers. */
export const GRACE = 2500;
export const SEND_TIMEOUT = 3000;
/** By when a call has to have settled, by its kind: what API.md promises. */
export const LIMITS = {
  connect: CONNECT_TIMEOUT + SUCCESSION_TIMEOUT + GRACE,
  send: SEND_TIMEOUT + GRACE,
  admin: CALL_TIMEOUT + GRACE,
  /** Joining is up to three calls and three fetches. */
  join: 3 * (CALL_TIMEOUT + 5_000) + 2_000 + GRACE,
  /** A consumer waits five seconds for its listeners and two for the broker, a connection for its sends and its leave. */
  close: 5_000 + 2_000 + SEND_TIMEOUT + CALL_TIMEOUT + 1_000 + GRACE,
};
