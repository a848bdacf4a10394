import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Settings } from "./settings.ts";
import type { Router } from "./router.ts";
import type { Session } from "./session.ts";
import type { Styles } from "./styles.ts";
import type { Translate } from "./i18n/translate.ts";

/** What belongs to one element, and every part of it may use. Two elements on one page share nothing. */
export interface Devtools {
  readonly session: Session;
  readonly router: Router;
  readonly settings: Settings;
  readonly styles: Styles;
  /** Read aloud by screen readers, politely. */
  announce(text: string): void;
  /** Begins anew, with nothing but what somebody has chosen: for code that could not be loaded. */
  restart(): void;
}

export const DevtoolsContext = createContext<Devtools | null>(null);

export function useDevtools(): Devtools {
  const devtools = useContext(DevtoolsContext);
  if (devtools === null) throw new Error("This component is used outside of the element.");
  return devtools;
}

export function useTranslate(): Translate {
  return useDevtools().settings.translate.value;
}
