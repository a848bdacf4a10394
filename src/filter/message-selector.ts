import { MQError } from "../model/errors.ts";
import { PROPERTY } from "../model/properties.ts";
import { type SqlExpression, parseSqlExpression } from "./sql-expression.ts";
import { type TagExpression, matchesTag, parseTagExpression } from "./tag-expression.ts";
import { checkWasmModule } from "./wasm-module.ts";

/** What of a message a selector looks at. */
export interface Selectable {
  tags?: string | undefined;
  keys?: string | readonly string[] | undefined;
  properties?: Readonly<Record<string, string>> | undefined;
}

/** What a filter is written in. */
export type SelectorType = "TAG" | "SQL92" | "WASM";

/** A subscription's filter. It is checked when it is made, so that a wrong one fails where it is written. */
export class MessageSelector {
  readonly type: SelectorType;
  /** As written; `"*"` for all, empty for a module. */
  readonly expression: string;
  /** What runs as a filter, when the type is WASM. */
  readonly module: Uint8Array<ArrayBuffer> | null;
  readonly #matches: (message: Selectable) => boolean;

  /** As with MQError: of whichever copy of the package. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return "isMessageSelector" in Object(value);
  }

  private constructor(type: SelectorType, expression: string, matches: (message: Selectable) => boolean, module: Uint8Array<ArrayBuffer> | null = null) {
    this.type = type;
    this.expression = expression;
    this.module = module;
    this.#matches = matches;
  }

  /** Whichever copy of the package has made it. */
  get isMessageSelector(): true {
    return true;
  }

  /** `"*"`, or tags joined by `||`. @throws MQError SUBSCRIPTION_PARSE_FAILED with `position` */
  static byTag(expression: string | null | undefined): MessageSelector {
    const parsed: TagExpression = parseTagExpression(expression);
    return new MessageSelector("TAG", parsed.text, (message) => matchesTag(parsed, propertyOf(message, PROPERTY.TAGS) as string | undefined));
  }

  /**
   * An SQL92 condition over the properties, such as `"amount > 100 AND region = 'eu'"`; TAGS and KEYS are properties too.
   * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
   */
  static bySql(expression: string): MessageSelector {
    const parsed: SqlExpression = parseSqlExpression(expression);
    return new MessageSelector("SQL92", parsed.text, (message) => parsed.evaluate(parsed.names.map((name) => propertyOf(message, name))) === true);
  }

  /**
   * A WebAssembly module that exports `memory` and `matches(pointer, length): i32` and imports nothing. The broker calls it
   * with the whole record of each message, in RocketMQ's commit-log layout; not 0 = the consumer gets it. The record stands
   * behind what the module calls its memory, which cannot grow. Only for tabs that have set `broker.enableWasmFilter`, and
   * only for subscriptions; docs/decisions/0011-filters.md says what is allowed and when a filter is disabled.
   * @throws MQError SUBSCRIPTION_PARSE_FAILED when it is too large or no such module
   */
  static byWasm(bytes: Uint8Array | ArrayBuffer): MessageSelector {
    const module = checkWasmModule(bytes, "bytes");
    const refuse = (): never => {
      throw new MQError("UNSUPPORTED", "A WebAssembly filter runs in the broker only.", { field: "matches" });
    };
    return new MessageSelector("WASM", "", refuse, module);
  }

  /** Whether a consumer with this selector gets the message. A tag is `tags`, or else the property TAGS; KEYS likewise. */
  matches(message: Selectable): boolean {
    return this.#matches(message);
  }
}

function propertyOf({ tags, keys, properties = {} }: Selectable, name: string): string | null | undefined {
  if (name === PROPERTY.TAGS && tags !== undefined && tags !== null) return tags;
  if (name === PROPERTY.KEYS && keys !== undefined && keys.length > 0) return typeof keys === "string" ? keys : keys.join(" ");
  return Object.hasOwn(properties, name) ? properties[name] : null;
}
