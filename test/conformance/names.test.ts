import { describe, expect, it } from "vitest";
import type { MQError } from "../../src/model/errors.ts";
import { checkClientTopic, checkGroup, checkTopic } from "../../src/model/names.ts";
import { checkSendable, isSystemTopic } from "../../src/model/system-names.ts";
import table from "./data/names.json";

interface Row {
  id: number;
  kind: string;
  name: string | null;
  length?: number;
  valid: boolean;
  reason?: string;
  system?: boolean;
  sendForbidden?: boolean;
  clientValid?: boolean;
  note?: string;
}

const REASONS: Record<string, RegExp> = {
  "blank": /must not be blank|must be a string, not null/,
  "illegal-characters": /may only contain/,
  "too-long": /characters; \d+ are allowed/,
};

function refusal(check: () => void): MQError | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return error as MQError;
  }
}

const rows = table.cases as Row[];

describe("names: valid, or refused for the reason given", () => {
  it.each(rows)("row $id: $kind $note", (row) => {
    expect(row.name?.length).toBe(row.length);
    const error = refusal(() => (row.kind === "topic" ? checkTopic(row.name) : checkGroup(row.name)));
    if (row.valid) return expect(error).toBeUndefined();
    expect(error).toMatchObject({ code: "INVALID_PARAMETER", field: row.kind });
    expect(error?.message).toMatch(REASONS[row.reason!]!);
  });
});

describe("names: system, sendForbidden and clientValid of topics", () => {
  it.each(rows.filter((row) => row.kind === "topic"))("row $id: $note", (row) => {
    const name = row.name!;
    expect(isSystemTopic(name)).toBe(row.system);
    expect(refusal(() => checkSendable(name))?.code).toBe(row.sendForbidden ? "NO_PERMISSION" : undefined);
    expect(refusal(() => checkClientTopic(name))?.code).toBe(row.clientValid ? undefined : "INVALID_PARAMETER");
  });
});

it("the default groups are refused too (the table's format says so)", () => {
  for (const group of ["DEFAULT_PRODUCER", "DEFAULT_CONSUMER"]) {
    expect(refusal(() => checkGroup(group, "consumerGroup"))).toMatchObject({ code: "INVALID_PARAMETER", field: "consumerGroup" });
  }
});

describe("between the rows: the first rule that fails is told, in the order blank, characters, length", () => {
  it.each<[string, string, string]>([
    ["a no-break space is no white space to Java", "\u00a0", "illegal-characters"],
    ["nor is a byte order mark", "\ufeff", "illegal-characters"],
    ["a file separator is", "\u001c\u001f", "blank"],
    ["an ideographic space is", "\u3000\u2003\u2028", "blank"],
    ["more blanks than a name may have characters", " ".repeat(300), "blank"],
    ["a wrong character behind the longest name", `${"a".repeat(200)}.`, "illegal-characters"],
    ["half of a surrogate pair", "\ud800", "illegal-characters"],
    ["a null character", "a\u0000", "illegal-characters"],
    ["a line feed at the end", "a\n", "illegal-characters"],
    ["128 characters", "a".repeat(128), "too-long"],
  ])("%s", (_what, name, reason) => {
    for (const check of [checkTopic, checkGroup]) expect(refusal(() => check(name))?.message).toMatch(REASONS[reason]!);
  });

  it("prefixes count only at the start and as they are written, and 256 is too long for them too", () => {
    expect(refusal(() => checkTopic(`%RETRY%${"a".repeat(248)}`))).toBeUndefined();
    expect(refusal(() => checkTopic(`%RETRY%${"a".repeat(249)}`))?.message).toMatch(REASONS["too-long"]!);
    expect(refusal(() => checkTopic(`%DLQ%${"a".repeat(251)}`))?.message).toMatch(REASONS["too-long"]!);
    expect(refusal(() => checkTopic(`%retry%${"a".repeat(121)}`))?.message).toMatch(REASONS["too-long"]!);
    expect(isSystemTopic("rmq_sys_")).toBe(true);
    expect(isSystemTopic("xrmq_sys_a")).toBe(false);
  });
});
