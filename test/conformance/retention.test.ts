import { describe, expect, test } from "vitest";
import { diskRule, filesToDelete, parseDeleteWhen } from "../../src/model/retention.ts";
import cases from "./data/retention.json" with { type: "json" };

describe("retention", () => {
  test.each(cases.disk)("the disk is used to $usedRatio", ({ usedRatio, deleteTriggered, cleanAtOnce, diskFullWritesRefused }) => {
    expect(diskRule(usedRatio)).toEqual({ deleteTriggered, cleanAtOnce, writesRefused: diskFullWritesRefused });
  });

  test.each(cases.files)("files, case $id", ({ files, now, reservedMs, cleanAtOnce, batchMax, expectedDeleted }) => {
    const count = filesToDelete(files.map(({ lastModified }) => lastModified), { now, reservedMs, cleanAtOnce, batchMax });
    expect(files.slice(0, count).map(({ name }) => name)).toEqual(expectedDeleted);
  });

  test.each([["", []], ["04", [4]], ["4;16", [4, 16]], ["0; 23 ;", [0, 23]], ["24", null], ["x", null], ["-1", null], ["4,5", null]])("deleteWhen %j", (text, hours) => {
    expect(parseDeleteWhen(text)).toEqual(hours);
  });
});
