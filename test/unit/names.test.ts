import { expect, it } from "vitest";
import { checkClientId, checkGroup, checkNamespace, checkTopic } from "../../src/model/names.ts";
import { checkSendable } from "../../src/model/system-names.ts";

function refused(field: string, message?: RegExp): unknown {
  const shape = { code: "INVALID_PARAMETER", outcome: "rejected", field };
  return expect.objectContaining(message ? { ...shape, message: expect.stringMatching(message) } : shape);
}

it("the error names the field, the rule and the offending name, shortened and escaped", () => {
  expect(() => checkTopic(`a\n${"b".repeat(500)}`, "message.topic")).toThrow(refused("message.topic", /^message\.topic: the topic "a\\nb{38}…" may only contain letters, digits and % \| _ -\.$/));
  expect(() => checkGroup("g".repeat(121))).toThrow(refused("group", /has 121 characters; 120 are allowed/));
});

it.each([undefined, 7, {}, ["orders"]])("a name that is no string is refused: %j", (name) => {
  expect(() => checkTopic(name)).toThrow(refused("topic", /must be a string/));
});

it("a line end behind a good name is refused", () => {
  for (const check of [checkTopic, checkGroup, checkNamespace, checkClientId] as ((name: unknown, field: string) => void)[]) {
    expect(() => check("shop\n", "f")).toThrow(refused("f"));
  }
});

it("namespaces", () => {
  for (const good of ["default", "A-b_9", "x".repeat(64)]) expect(() => checkNamespace(good)).not.toThrow();
  for (const bad of ["", " ", "a/b", "a.b", "a|b", "x".repeat(65), null]) expect(() => checkNamespace(bad, "connect.namespace")).toThrow(refused("connect.namespace"));
});

it("client ids", () => {
  for (const good of ["10.0.0.1@4711", "tab:1", "x".repeat(128)]) expect(() => checkClientId(good)).not.toThrow();
  for (const bad of ["", "a b", "a/b", "x".repeat(129), 3]) expect(() => checkClientId(bad)).toThrow(refused("clientId"));
});

it("a refused send names the field it was given", () => {
  expect(() => checkSendable("SELF_TEST_TOPIC", "message.topic")).toThrow(expect.objectContaining({ code: "NO_PERMISSION", field: "message.topic" }));
  expect(() => checkSendable("toString")).not.toThrow();
});
