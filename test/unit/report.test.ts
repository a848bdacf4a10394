import { describe, expect, test } from "vitest";
import { count, failuresOf, worthSecondTry } from "../support/report.mjs";

const file = (name: string, status: "passed" | "failed" = "failed") => ({ name: `${process.cwd()}/${name}`, status, message: "", assertionResults: [{ status, fullName: "t", failureMessages: ["no"] }] });
const report = (...files: ReturnType<typeof file>[]) => ({ numPassedTests: 1, numFailedTests: files.filter(({ status }) => status === "failed").length, testResults: files });

describe("what a run of all tests makes of vitest's report", () => {
  test("a few files that drive a browser are worth a second try, by themselves", () => {
    expect(worthSecondTry(report(file("test/tabs/a.test.ts"), file("test/fault/b.test.ts"), file("test/unit/c.test.ts", "passed")))).toEqual(["test/tabs/a.test.ts", "test/fault/b.test.ts"]);
  });

  test("in several engines it is one file", () => {
    expect(worthSecondTry(report(file("test/tabs/a.test.ts"), file("test/tabs/a.test.ts")))).toEqual(["test/tabs/a.test.ts"]);
  });

  test("nothing else is: a red test without a browser says what it says", () => {
    expect(worthSecondTry(report(file("test/tabs/a.test.ts"), file("test/unit/b.test.ts")))).toEqual([]);
    expect(worthSecondTry(report(...["a", "b", "c", "d"].map((name) => file(`test/tabs/${name}.test.ts`))))).toEqual([]);
    expect(worthSecondTry(undefined)).toEqual([]);
  });

  test("a run that ends badly without a red test is a failure", () => {
    expect(count(report(file("test/unit/a.test.ts", "passed")), 1)).toMatchObject({ failed: 1 });
    expect(count(report(file("test/unit/a.test.ts", "passed")), 0)).toMatchObject({ passed: 1, failed: 0 });
    expect(failuresOf(report(file("test/tabs/a.test.ts")))).toEqual(["test/tabs/a.test.ts > t\n    no"]);
  });
});
