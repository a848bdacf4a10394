import { expect, it } from "vitest";
import { allocateMessageQueues, retryDelay } from "../../src/index.ts";

it.each([-1, -5, 1.5, Number.NaN, "3", undefined])("retryDelay of %s is refused, and not answered with half an answer", (times) => {
  expect(() => retryDelay(times as number)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "reconsumeTimes" }));
});

it("allocateMessageQueues without options is refused as an MQError", () => {
  for (const strategy of ["AVG", "CONFIG", () => []] as const) {
    expect(() => allocateMessageQueues(strategy, undefined as never)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
  }
});
