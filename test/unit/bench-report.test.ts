import { describe, expect, test } from "vitest";
import { browserName, nothingMeasured, reportOf, rowsOf } from "../../src/playground/panels/bench/report.ts";
import { median, percentile } from "../../src/playground/panels/bench/statistics.ts";

describe("what a bench reports", () => {
  test("medians and percentiles", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    const hundred = Array.from({ length: 101 }, (_, at) => 100 - at);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile([5], 0.99)).toBe(5);
    expect(median([])).toBeNaN();
  });

  test("every measurement of both sides has a row, in whole messages a second and thousandths of a millisecond", () => {
    const measured = nothingMeasured();
    for (const [at, name] of (["sends100", "sends1024", "consume", "lone", "trip"] as const).entries()) {
      measured[name].tabmq.push(10.00049 + at, 30, 20);
      measured[name].ceiling.push(40, 50.4, 60);
    }
    const machine = { tabmq: "0.1.0", browser: "b", userAgent: "u", cores: 2, durability: "strict", indexer: "wasm" };
    const report = reportOf(machine, measured, 3);
    expect(report.rates.sends100).toEqual({ tabmq: { median: 20, rounds: [10, 30, 20] }, ceiling: { median: 50, rounds: [40, 50, 60] } });
    expect(report.times.lone.tabmq).toEqual({ p50: 20, p99: 29.8, samples: 3 });
    expect(rowsOf(report).map(({ id }) => id)).toEqual(["sends100", "sends1024", "consume", "lone.p50", "lone.p99", "trip.p50", "trip.p99"]);
  });

  test.each([
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36", "Chromium 156, Linux"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0", "Edge 150, Windows"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140, Linux"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15", "Safari 18.4, macOS"],
    ["Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Mobile Safari/537.36", "Chromium 148, Android"],
    ["curl/8", "curl/8"],
  ])("%s", (userAgent, name) => expect(browserName(userAgent)).toBe(name));
});
