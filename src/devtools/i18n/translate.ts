import type { ComponentChildren } from "preact";
import type { en } from "./en/index.ts";

export type Language = "en" | "zh";
export const LANGUAGES: readonly (readonly [Language, string])[] = [["en", "English"], ["zh", "中文"]];

/** A text, or one for each plural form of `count`. `{name}` is where a value goes. */
export type Entry = string | Readonly<{ one: string; other: string }>;
export type Key = keyof typeof en;
/** A text that stands in code which is shown, and is said as it stands there: no key has a blank. It is its own key, and English. */
export type Sentence = `${string} ${string}`;
export type Catalogue = Readonly<Record<Key | Sentence, Entry>>;
/** Some of a catalogue: what there is of it in the page. */
export type Texts = Readonly<Partial<Catalogue>>;

/** Numbers and dates are written as the language writes them. */
export type Values = Readonly<Record<string, string | number>>;

export interface Translate {
  (key: Key | Sentence, values?: Values): string;
  readonly language: Language;
  /** The same with elements in the places of values. */
  rich(key: Key, values: Readonly<Record<string, ComponentChildren>>): ComponentChildren;
  number(value: number): string;
  bytes(value: number): string;
  /** A length of time, ms. */
  duration(ms: number): string;
  /** An instant: the time of day, and the date where it is not today's. */
  time(at: number): string;
  dateTime(at: number): string;
}

const LOCALES: Record<Language, string> = { en: "en", zh: "zh-Hans" };
const PLACE = /\{(\w+)\}/;

export function translator(language: Language, texts: Texts): Translate {
  const locale = LOCALES[language];
  const whole = new Intl.NumberFormat(locale);
  const plural = new Intl.PluralRules(locale);
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
  const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

  const text = (key: Key | Sentence, values: Readonly<Record<string, unknown>>): string => {
    // A sentence is English already. A panel brings its other texts along: devtools-texts.test.ts sees to it that it brings all of them.
    const entry = texts[key] ?? key;
    if (typeof entry === "string") return entry;
    return plural.select(Number(values.count)) === "one" ? entry.one : entry.other;
  };
  const translate = (key: Key | Sentence, values: Values = {}): string =>
    text(key, values).replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name];
      return typeof value === "number" ? whole.format(value) : (value ?? `{${name}}`);
    });

  return Object.assign(translate, {
    language,
    rich: (key: Key, values: Readonly<Record<string, ComponentChildren>>) =>
      text(key, values).split(PLACE).map((part, at) => (at % 2 === 0 ? part : (values[part] ?? `{${part}}`))),
    number: (value: number) => whole.format(value),
    bytes,
    duration,
    time: (at: number) => (new Date(at).toDateString() === new Date().toDateString() ? clock.format(at) : calendar.format(at)),
    dateTime: (at: number) => calendar.format(at),
  });
}

/** Units are the same in both languages. */
function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(value) / 10), units.length);
  const scaled = value / 2 ** (10 * power);
  return `${scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[power - 1]!}`;
}

function duration(ms: number): string {
  if (ms < 999.5) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 100) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
