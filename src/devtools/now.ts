import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Translate } from "./i18n/translate.ts";

/** The time, ms since 1970, once a second: for what counts down. */
export function useNow(): number {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now.value;
}

/** A length of time that is looked at while it runs: whole seconds, where nobody could read more. */
export function running(t: Translate, ms: number): string {
  return ms < 100_000 ? `${Math.ceil(Math.max(0, ms) / 1000)} s` : t.duration(ms);
}
