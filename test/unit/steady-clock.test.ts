import { expect, test } from "vitest";
import { SteadyClock } from "../../src/platform/steady-clock.ts";

/** A wall clock that can be set, and time that passes. */
function clocks() {
  let [wall, monotonic] = [1_000_000, 5];
  return {
    steady: new SteadyClock({ now: () => wall, monotonic: () => monotonic }),
    pass: (ms: number): void => void ([wall, monotonic] = [wall + ms, monotonic + ms]),
    set: (by: number): void => void (wall += by),
    sleep: (ms: number): void => void (wall += ms),
    wall: () => wall,
  };
}

test("it is the wall clock, as long as nobody sets that back", () => {
  const { steady, pass, set, sleep, wall } = clocks();
  for (const change of [() => pass(10), () => pass(10_000), () => set(3_600_000), () => sleep(8 * 3_600_000), () => pass(1)]) {
    change();
    expect(steady.now()).toBe(wall());
  }
});

test("set back by an hour, it goes on at its own pace, and follows again when the other has caught up", () => {
  const { steady, pass, set, wall } = clocks();
  const before = steady.now();
  set(-3_600_000);
  pass(10_000);
  expect(steady.now()).toBe(before + 10_000);
  pass(20_000);
  expect(steady.now()).toBe(before + 30_000);
  set(3_600_000);
  expect(steady.now()).toBe(wall());
});

test("slowed down a little, it waits instead of leaving the wall clock for good", () => {
  const { steady, pass, set, wall } = clocks();
  const before = steady.now();
  set(-200);
  expect(steady.now()).toBe(before);
  pass(300);
  expect(steady.now()).toBe(wall());
});
