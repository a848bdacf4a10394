// @ts-check
/**
 * `npm run generate`: makes src/filter/sql-parser.ts of src/filter/sql.peggy.
 *
 * The parser travels in the worker and in every app, so what peggy makes to describe errors is cut out: the tables of what
 * was expected, lines and columns, the texts. What is left says how far it got.
 */
import "./node-version.mjs";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import peggy from "peggy";

const GRAMMAR = new URL("../../src/filter/sql.peggy", import.meta.url);
export const PARSER = new URL("../../src/filter/sql-parser.ts", import.meta.url);

const HEAD = `// Made by \`npm run generate\` of sql.peggy. Do not edit.
// @ts-nocheck
import type { SqlNode } from "./sql-compiler.ts";
import type { Token } from "./sql-lexer.ts";

/** The tree, or the number of the first token that does not fit. */
export function parse(input: string, options: { tokens: readonly Token[] }): SqlNode | number {
`;

export async function generate() {
  const source = peggy.generate(await readFile(GRAMMAR, "utf8"), { output: "source", format: "bare" });
  if (typeof source !== "string") throw new Error("peggy gave no source");
  const cut = [
    cutOut(source, "const peg$FAILED", "const peg$c0 ="),
    cutOut(source, "const peg$c0 =", "const peg$e0 ="),
    cutOut(source, "function peg$f0(", "let peg$currPos ="),
    "let peg$currPos = 0;\nlet peg$savedPos = 0;\nlet peg$maxFailPos = 0;\nlet peg$silentFails = 0;\nfunction offset() { return peg$savedPos; }\nfunction peg$fail() { if (peg$currPos > peg$maxFailPos) peg$maxFailPos = peg$currPos; }\n",
    cutOut(source, "function peg$parseOr()", "peg$result = peg$startRuleFunction();"),
    "const result = peg$parseOr();\nif (result !== peg$FAILED && peg$currPos === input.length) return result;\npeg$fail();\nreturn peg$maxFailPos;\n}\n",
  ];
  cut[0] = "const peg$FAILED = {};\n";
  const code = cut.join("").replaceAll(/if \(peg\$silentFails === 0\) \{ peg\$fail\(peg\$e\d+\); \}/g, "peg$fail();").replace("let peg$silentFails = 0;\n", "");
  const left = /peg\$(?:e\d|silentFails|library|SyntaxError|computeLocation)/.exec(code);
  if (left !== null) throw new Error(`this version of peggy writes its parsers in another way: ${left[0]} is left`);
  return HEAD + code.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "").join("\n") + "\n";
}

/** From one text up to another. @param {string} source @param {string} from @param {string} to */
function cutOut(source, from, to) {
  const begin = source.indexOf(from);
  const end = source.indexOf(to, begin);
  if (begin < 0 || end < 0) throw new Error(`this version of peggy writes its parsers in another way: no ${begin < 0 ? from : to}`);
  return source.slice(begin, end);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PARSER, await generate());
