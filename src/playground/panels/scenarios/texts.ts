import { scenarios } from "../../../devtools/i18n/en/scenarios.ts";
import type { Key, Sentence } from "../../../devtools/i18n/translate.ts";

/** A story has a title in the catalogues: that makes its name. What else is said of it begins with the same. */
export type ScenarioName = Key extends infer K ? (K extends `scenarios.${infer Name}.title` ? Name : never) : never;

type After<Prefix extends string> = Key extends infer K ? (K extends `${Prefix}${infer Rest}` ? Rest : never) : never;

export type StepKey<Name extends ScenarioName> = After<`scenarios.${Name}.step.`>;
export type CheckKey<Name extends ScenarioName> = After<`scenarios.${Name}.check.`>;

/** The sentences of an explanation, in the order in which the catalogue has them. */
export function stepsOf(name: ScenarioName): { step: string; key: Key }[] {
  const prefix = `scenarios.${name}.step.`;
  return (Object.keys(scenarios) as Key[]).filter((key) => key.startsWith(prefix)).map((key) => ({ step: key.slice(prefix.length), key }));
}

export function textOf(name: ScenarioName, part: "title" | "line" | "why" | "promise"): Key {
  return `scenarios.${name}.${part}` satisfies Key;
}

export function checkText(name: ScenarioName, check: string): Key {
  return `scenarios.${name}.check.${check}` as Key;
}

/** What a line of a story's log says: the constant parts of its template, which are its English, with {0}, {1} … in the places of its values. */
export function sentenceOf(parts: readonly string[]): Sentence {
  return parts.reduce((text, part, at) => `${text}{${at - 1}}${part}`) as Sentence;
}
