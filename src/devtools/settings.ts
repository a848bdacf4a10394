import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { shell } from "./i18n/en/shell.ts";
import { type Language, LANGUAGES, type Texts, type Translate, translator } from "./i18n/translate.ts";

export type Theme = "auto" | "light" | "dark";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const KEY = "tabmq-devtools/settings";

/** What a person has chosen: it outlives the page, where the page may remember. */
export class Settings {
  readonly language: Signal<Language>;
  readonly theme: Signal<Theme>;
  readonly translate: ReadonlySignal<Translate>;
  /** English: a panel brings its own. */
  readonly #english: Signal<Texts> = signal(shell);
  /** Any other language is one file. */
  readonly #other: Signal<{ language: Language; texts: Texts } | null> = signal(null);

  constructor(asked: { language?: string | null; theme?: string | null } = {}) {
    const kept = read();
    this.language = signal(languageOf(asked.language ?? kept.language ?? navigator.language));
    this.theme = signal(themeOf(asked.theme ?? kept.theme));
    this.translate = computed(() => translator(this.#other.value?.language ?? "en", this.#other.value?.texts ?? this.#english.value));
    void this.#load();
  }

  async chooseLanguage(language: Language): Promise<void> {
    this.language.value = language;
    this.#keep();
    await this.#load();
  }

  /** A panel was loaded, with its English texts. */
  learn(texts: readonly Texts[]): void {
    const known = this.#english.peek();
    const isNew = texts.some((some) => Object.keys(some).some((key) => !(key in known)));
    if (isNew) this.#english.value = Object.assign({}, known, ...texts);
  }

  chooseTheme(theme: Theme): void {
    this.theme.value = theme;
    this.#keep();
  }

  /** What the page asks for: for this element, and not kept. */
  follow({ language, theme }: { language?: string | null; theme?: string | null }): void {
    if (typeof theme === "string") this.theme.value = themeOf(theme);
    if (typeof language !== "string") return;
    this.language.value = languageOf(language);
    void this.#load();
  }

  /** English comes with the panels; what somebody else reads is fetched for them. */
  async #load(): Promise<void> {
    const language = this.language.peek();
    const other = language === "en" ? null : { language, texts: (await import("./i18n/zh.ts")).zh };
    if (this.language.peek() === language) this.#other.value = other;
  }

  #keep(): void {
    try {
      localStorage.setItem(KEY, JSON.stringify({ language: this.language.peek(), theme: this.theme.peek() }));
    } catch {
      // A page that may not remember asks again next time.
    }
  }
}

function read(): { language?: string; theme?: string } {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof kept === "object" && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

function themeOf(asked: string | undefined): Theme {
  return THEMES.find((theme) => theme === asked) ?? "auto";
}

function languageOf(asked: string): Language {
  return LANGUAGES.find(([language]) => asked.toLowerCase().startsWith(language))?.[0] ?? "en";
}
