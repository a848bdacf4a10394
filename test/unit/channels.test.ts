/** Channels between the tabs of an origin, as outboxes have them. */
import { expect, test } from "vitest";
import { systemNetwork } from "../../src/client/http-outbox/network.ts";
import { openWakeChannel } from "../../src/client/wake-channel.ts";

test.each([
  ["an HTTP outbox", (name: string, hear: () => void) => systemNetwork.openChannel(name, hear)!],
  ["a transactional outbox", openWakeChannel],
])("%s that is shut down may still have something to tell, when a transaction is complete, say: nobody hears it, and nothing throws", async (what, open) => {
  let heard = 0;
  let more = (): void => {};
  const one = open(what, () => {});
  const other = open(what, () => {
    heard++;
    more();
  });
  const first = new Promise<void>((resolve) => (more = resolve));
  one.post(null);
  await first;
  one.close();
  expect(() => one.post(null)).not.toThrow();
  other.close();
  expect(heard).toBe(1);
});
