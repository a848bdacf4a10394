/** Cancels the timer; harmless afterwards. */
export type Cancel = () => void;

/** Timers as a dependency, so that a simulator can run them on virtual time. Delays in milliseconds. */
export interface Timers {
  after(delay: number, run: () => void): Cancel;
}

export const systemTimers: Timers = {
  after(delay, run) {
    const id = setTimeout(run, delay);
    return () => clearTimeout(id);
  },
};

export function sleep(timers: Timers, delay: number): Promise<void> {
  return new Promise((resolve) => timers.after(delay, resolve));
}
