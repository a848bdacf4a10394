import { expect, it } from "vitest";
import { besideField } from "../../src/devtools/submit.ts";
import { MQError } from "../../src/index.ts";

it.each([
  ["CreateTopic.readQueueNums must be an integer from 1 to 128, not 0.", "Must be an integer from 1 to 128, not 0."],
  ['readQueueNums of "orders" cannot shrink: queue 3 holds 2 messages, and no group has consumed them.', "Cannot shrink: queue 3 holds 2 messages, and no group has consumed them."],
  ["A card reader cannot say why.", "A card reader cannot say why."],
])("beside a field its own name is left out of a refusal: %s", (message, said) => {
  expect(besideField(new MQError("INVALID_PARAMETER", message))).toBe(said);
});
