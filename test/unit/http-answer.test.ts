import { describe, expect, test } from "vitest";
import { backoff, MAX_RETRY_AFTER, retryAfter, verdictOf } from "../../src/client/http-outbox/answer.ts";
import { Slots } from "../../src/client/http-outbox/slots.ts";

describe("what a status means", () => {
  test.each([
    ["done", [200, 201, 202, 204, 226]],
    ["retry", [408, 425, 429, 500, 501, 502, 503, 504, 599]],
    ["dead", [300, 301, 304, 400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 422, 451, 0]],
  ] as const)("%s", (verdict, statuses) => {
    expect(statuses.map(verdictOf)).toEqual(statuses.map(() => verdict));
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(2026, 0, 1, 12);
  const wait = (text: string, date?: string): number | null => retryAfter(new Headers({ "retry-after": text, ...(date !== undefined && { date }) }), now);

  test("seconds", () => {
    expect(wait("0")).toBe(0);
    expect(wait(" 120 ")).toBe(120_000);
    expect(wait("99999999999999")).toBe(MAX_RETRY_AFTER);
  });

  test("every form of an HTTP date", () => {
    expect(wait("Thu, 01 Jan 2026 12:01:00 GMT")).toBe(60_000);
    expect(wait("Thursday, 01-Jan-26 12:01:00 GMT")).toBe(60_000);
    expect(wait("Thu, 01 Jan 2026 11:00:00 GMT")).toBe(0);
  });

  test("a date beside the server's own", () => {
    expect(wait("Fri, 02 Jan 2026 00:00:30 GMT", "Fri, 02 Jan 2026 00:00:00 GMT")).toBe(30_000);
    expect(wait("Thu, 01 Jan 2026 12:01:00 GMT", "rubbish")).toBe(60_000);
  });

  test("what cannot be read says nothing", () => {
    for (const text of ["", "-1", "1.5", "soon", "2026-01-01", "1e3", "Thu, 99 Foo"]) expect(wait(text)).toBeNull();
    expect(retryAfter(new Headers(), now)).toBeNull();
  });
});

test("back-off doubles up to its limit and is never more than half shorter", () => {
  const delays = { min: 1000, max: 60_000 };
  expect([1, 2, 3, 6, 7, 10_000].map((failures) => backoff(failures, delays, 0))).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
  expect([1, 2, 7].map((failures) => backoff(failures, delays, 1))).toEqual([500, 1000, 30_000]);
});

test("slots: no more at once than there are, in the order of asking; who gives up waiting takes nobody's", async () => {
  const slots = new Slots(2);
  const { signal } = new AbortController();
  const impatient = new AbortController();
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const work = (id: number, its = signal): Promise<void> => slots.run(its, () => new Promise<void>((resolve) => (begun.push(id), ends.push(resolve))));
  const all = [work(0), work(1), work(2, impatient.signal), work(3), work(4)];
  const refused = expect(all[2]).rejects.toThrow("enough");
  await Promise.resolve();
  expect(begun).toEqual([0, 1]);
  // In the moment in which it is given one.
  ends[0]!();
  impatient.abort(new Error("enough"));
  await refused;
  await all[0];
  await new Promise((resolve) => setTimeout(resolve));
  expect(begun).toEqual([0, 1, 3]);
  for (const end of ends) end();
  await all[3];
  await new Promise((resolve) => setTimeout(resolve));
  expect(begun).toEqual([0, 1, 3, 4]);
  ends.at(-1)!();
  await Promise.all([all[1], all[4]]);
});
