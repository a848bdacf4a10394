/** The log of a story is said in sentences of its code. Here each of them is looked up in the Chinese catalogue, and each of the catalogue in the stories. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ESTree, parseSync, Visitor } from "vite";
import { describe, expect, it } from "vitest";
import { translator } from "../../src/devtools/i18n/translate.ts";
import { zh } from "../../src/devtools/i18n/zh.ts";
import { sentenceOf } from "../../src/playground/panels/scenarios/texts.ts";

const STORIES = resolve(import.meta.dirname, "../../src/playground/panels/scenarios/scenarios");

const isLog = (node: ESTree.Expression): boolean =>
  node.type === "CallExpression" && node.callee.type === "MemberExpression" && node.callee.property.type === "Identifier" && node.callee.property.name === "log";

/** What a story may say; and how often it begins a line without saying anything. */
function saidIn(code: string): { sentences: string[]; silent: number } {
  const sentences: string[] = [];
  let begun = 0;
  const { program, errors } = parseSync("story.ts", code);
  expect(errors).toEqual([]);
  new Visitor({
    CallExpression: (node) => void (begun += isLog(node) ? 1 : 0),
    TaggedTemplateExpression: ({ tag, quasi }) => {
      if (isLog(tag)) sentences.push(sentenceOf(quasi.quasis.map(({ value }) => value.cooked!)));
    },
  }).visit(program);
  return { sentences, silent: begun - sentences.length };
}

const stories = readdirSync(STORIES).map((file) => [file, saidIn(readFileSync(join(STORIES, file), "utf8"))] as const);
const places = (text: string): string[] => [...text.matchAll(/\{\d\}/g)].map(([place]) => place).toSorted();

describe("what the stories say", () => {
  it("is in Chinese in the catalogue, each sentence with its values, and no more than that", () => {
    for (const [file, { sentences, silent }] of stories) {
      expect(sentences, file).not.toEqual([]);
      expect(silent, file).toBe(0);
    }
    const said = [...new Set(stories.flatMap(([, { sentences }]) => sentences))].toSorted();
    expect(Object.keys(zh).filter((key) => key.includes(" ")).toSorted()).toEqual(said);
    for (const sentence of said) {
      const chinese = zh[sentence as keyof typeof zh] as string;
      expect(chinese).toMatch(/\p{Script=Han}/u);
      expect(places(chinese), sentence).toEqual(places(sentence));
    }
  });

  it("is found by the constant parts of a template, whatever its values are; English is the sentence itself", () => {
    const code = "stage.log(name)`${list.map(({ at }) => `${at}`).join()} of ${all} orders`; if (rest) stage.log(\"shop\");";
    expect(saidIn(code)).toEqual({ sentences: ["{0} of {1} orders"], silent: 1 });
    const values = { 0: "o-1", 1: 1000 };
    expect(translator("en", {})("{0} of {1} orders", values)).toBe("o-1 of 1,000 orders");
    expect(translator("zh", { "{0} of {1} orders": "{1} 中的 {0}" })("{0} of {1} orders", values)).toBe("1,000 中的 o-1");
  });
});
