import { systemClock } from "../../../src/platform/clock.ts";
import { systemTimers } from "../../../src/platform/timers.ts";
import { serveWithout } from "../../fault/workers/host.ts";

/** How many times as fast as elsewhere. */
const PACE = 20;

/** A broker for whom time runs faster, so that a test need not wait until retention may begin. */
serveWithout({
  clock: { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() * PACE },
  timers: { after: (delay, run) => systemTimers.after(delay / PACE, run) },
});
