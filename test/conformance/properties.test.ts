import { describe, expect, it } from "vitest";
import { MQError } from "../../src/model/errors.ts";
import { MAX_PROPERTIES_BYTES } from "../../src/model/limits.ts";
import { checkUserProperty, decodeProperties } from "../../src/model/properties.ts";
import table from "./data/properties.json";

describe("properties: decode", () => {
  it.each(table.decode)("row $id", ({ encoded, decoded }) => {
    expect(decodeProperties(encoded)).toEqual(decoded);
  });
});

const REASONS: Record<string, RegExp> = { blank: /must not be blank/, reserved: /is reserved/ };

describe("properties: userProperty", () => {
  it.each(table.userProperty)("row $id: $name", ({ name, value, accepted, reason }) => {
    const check = (): void => checkUserProperty(name, value, "message.properties");
    if (accepted) return expect(check).not.toThrow();
    expect(check).toThrow(MQError);
    expect(check).toThrow(expect.objectContaining({ code: "MESSAGE_ILLEGAL", field: "message.properties" }));
    expect(check).toThrow(REASONS[reason!]!);
  });
});

it("the limit is that of the table's format", () => {
  expect(table.format).toContain(`at most ${MAX_PROPERTIES_BYTES} bytes`);
});
