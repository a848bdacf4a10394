import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { MQError } from "../index.ts";
import { useDevtools } from "./context.ts";

/** What was asked of the broker last. `value` stays while a later question fails: `problem` says so beside it. */
export interface Polled<T> {
  readonly value: ReadonlySignal<T | undefined>;
  /** Why the last answer did not come, as a sentence; "" = it came. */
  readonly problem: ReadonlySignal<string>;
  /** Asks now. */
  refresh(): void;
}

/**
 * Asks the broker again and again while the page is looked at: `every` ms after each answer (or what it says then), and at once when one of
 * `about` has changed. Another question's answer is never shown for this one.
 */
export function usePolled<T>(ask: () => Promise<T>, every: number | (() => number), about: readonly unknown[] = []): Polled<T> {
  const { session } = useDevtools();
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal("");
  const current = useRef({ ask, now: () => {} });
  current.current.ask = ask;
  useEffect(() => {
    let isOver = false;
    let isAsking = false;
    let isWanted = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    value.value = undefined;
    problem.value = "";
    const round = async (): Promise<void> => {
      clearTimeout(timer);
      if (document.hidden || isOver || session.client.peek() === null) return;
      if (isAsking) {
        isWanted = true;
        return;
      }
      isAsking = true;
      try {
        const answer = await current.current.ask();
        if (!isOver) [value.value, problem.value] = [answer, ""];
      } catch (error) {
        // A broker that is away is shown in the header, and asked again.
        if (!isOver && !(error instanceof MQError && error.retriable && value.peek() !== undefined)) problem.value = reasonOf(error);
      }
      isAsking = false;
      timer = setTimeout(() => void round(), isWanted ? 0 : typeof every === "function" ? every() : every);
      isWanted = false;
    };
    const stop = session.client.subscribe((client) => {
      if (client !== null) void round();
    });
    const onVisible = (): void => void round();
    document.addEventListener("visibilitychange", onVisible);
    current.current.now = onVisible;
    return () => {
      isOver = true;
      clearTimeout(timer);
      stop();
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, about);
  return { value, problem, refresh: () => current.current.now() };
}

/** The library's messages begin with the field, for logs. Beside the field itself that is noise. */
export function sentence(message: string): string {
  const text = message.replace(/^[\w.[\]]+(, at \d+)?: /, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function reasonOf(error: unknown): string {
  return sentence(error instanceof Error ? error.message : String(error));
}
