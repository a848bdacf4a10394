import { MQError } from "../model/errors.ts";
import { MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LENGTH, MAX_EXPRESSION_TOKENS } from "../model/limits.ts";

/** A word, literal or sign of an SQL expression. */
export interface Token {
  /** Its character in the text that the grammar reads. */
  kind: string;
  /** Index of its first UTF-16 unit in the expression. */
  at: number;
  /** Text of a string, name of a property, digits of a number. */
  value: string;
}

/** Signs that are not their own token. `'` string, `1` integer, `2` float, `p` property. */
const SIGNS: Readonly<Record<string, string>> = { "<>": "!", "<=": "{", ">=": "}" };
const WORDS: Readonly<Record<string, string>> = {
  AND: "A", OR: "O", NOT: "N", IS: "I", IN: "i", BETWEEN: "B", TRUE: "T", FALSE: "F", NULL: "0", CONTAINS: "c", STARTSWITH: "s", ENDSWITH: "e",
};

/** In this order: space and comments, string, float, integer, word, sign. A `--` comment needs the end of its line. */
const TOKEN =
  /((?:[ \t\n\r\f]|--[^\n\r]*[\n\r]|\/\*[^]*?\*\/)+)|'((?:[^']|'')*)'|((?:\d+\.\d*|\.\d+)(?:e[+-]?\d+)?|\d+e[+-]?\d+)|(0|[1-9]\d*)l?|([a-z_$][a-z0-9_$]*)|<>|[<>]=?|[=(),+-]/iy;

export function refuseSql(message: string, position: number): MQError {
  return new MQError("SUBSCRIPTION_PARSE_FAILED", `SQL expression, at ${position}: ${message}`, { field: "expression", position });
}

/**
 * The tokens of an expression. Bounded: MAX_EXPRESSION_LENGTH units, MAX_EXPRESSION_TOKENS, MAX_EXPRESSION_DEPTH parentheses.
 * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
 */
export function tokenize(expression: string): Token[] {
  if (expression.length > MAX_EXPRESSION_LENGTH) {
    throw refuseSql(`it has ${expression.length} characters; ${MAX_EXPRESSION_LENGTH} are allowed.`, MAX_EXPRESSION_LENGTH);
  }
  const tokens: Token[] = [];
  let depth = 0;
  for (let at = 0; at < expression.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(expression);
    if (found === null) throw refuseSql(`${JSON.stringify(String.fromCodePoint(expression.codePointAt(at)!))} begins nothing that is known here.`, at);
    const [sign, space, string, float, integer, word] = found;
    if (space !== undefined) continue;
    if (sign === "(" && ++depth > MAX_EXPRESSION_DEPTH) throw refuseSql(`more than ${MAX_EXPRESSION_DEPTH} parentheses are open.`, at);
    if (sign === ")") depth--;
    if (tokens.length === MAX_EXPRESSION_TOKENS) throw refuseSql(`it has more than ${MAX_EXPRESSION_TOKENS} words and signs.`, at);
    if (string !== undefined) tokens.push({ kind: "'", at, value: string.replaceAll("''", "'") });
    else if (float !== undefined) tokens.push({ kind: "2", at, value: float });
    else if (integer !== undefined) tokens.push({ kind: "1", at, value: integer });
    else if (word !== undefined) tokens.push({ kind: wordKind(word), at, value: word });
    else tokens.push({ kind: SIGNS[sign] ?? sign, at, value: sign });
  }
  return tokens;
}

function wordKind(word: string): string {
  const upper = word.toUpperCase();
  return Object.hasOwn(WORDS, upper) ? WORDS[upper]! : "p";
}
