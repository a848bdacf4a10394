import { type CompiledSql, compileSql } from "./sql-compiler.ts";
import { refuseSql, tokenize } from "./sql-lexer.ts";
import { parse } from "./sql-parser.ts";

/** What a subscription by SQL92 asks for. */
export interface SqlExpression extends CompiledSql {
  /** As it was written. */
  readonly text: string;
}

/**
 * Reads an SQL92 condition over a message's properties, TAGS and KEYS among them, such as `amount > 100 AND region = 'eu'`.
 * A message matches when it is true; not when it is false or unknown, or cannot be evaluated.
 * Source: RocketMQ's filter module; what we do differently is in docs/differences.md.
 * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
 */
export function parseSqlExpression(expression: string): SqlExpression {
  if (typeof expression !== "string") throw refuseSql(`it must be a string, not ${typeof expression}.`, 0);
  const tokens = tokenize(expression);
  const parsed = parse(tokens.map(({ kind }) => kind).join(""), { tokens });
  if (typeof parsed === "number") {
    const token = tokens[parsed];
    if (token === undefined) throw refuseSql("it ends too early.", expression.length);
    throw refuseSql(`"${token.value}" does not belong here.`, token.at);
  }
  return { text: expression, ...compileSql(parsed) };
}
