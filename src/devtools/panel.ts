import type { ComponentType } from "preact";
import type { Key, Texts } from "./i18n/translate.ts";

/** A place in the element. Its code is loaded when somebody goes there. */
export interface PanelDefinition {
  /** First part of its path. */
  readonly id: string;
  readonly title: Key;
  /** Panels of one section stand together in the menu. */
  readonly section: "see" | "operate" | "look-after";
  load(): Promise<PanelCode>;
}

interface PanelCode {
  default: ComponentType;
  /** Everything it says in English, besides what every panel may say (i18n/en/shell.ts). Other languages are one file each. */
  texts: readonly Texts[];
}
