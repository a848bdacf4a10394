import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useDevtools } from "./context.ts";
import { type Polled, reasonOf } from "./polled.ts";

/** As `usePolled`, for what does not change by itself: asked once, when there is a connection, and again by `refresh`. */
export function useAsked<T>(ask: () => Promise<T>, about: readonly unknown[] = []): Polled<T> {
  const { session } = useDevtools();
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal("");
  const current = useRef({ ask, now: () => {} });
  current.current.ask = ask;
  useEffect(() => {
    let round = 0;
    value.value = undefined;
    problem.value = "";
    const now = async (): Promise<void> => {
      const own = ++round;
      try {
        const answer = await current.current.ask();
        if (own === round) [value.value, problem.value] = [answer, ""];
      } catch (error) {
        if (own === round) problem.value = reasonOf(error);
      }
    };
    current.current.now = () => void now();
    const stop = session.client.subscribe((client) => {
      if (client !== null) void now();
    });
    return () => {
      round = Number.NaN;
      stop();
    };
  }, about);
  return { value, problem, refresh: () => current.current.now() };
}
