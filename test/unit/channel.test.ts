import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { BrokerGone, Channel } from "../../src/client/channel.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** A port to nobody. */
function deadPort(): PortLike {
  return { start: () => {}, postMessage: () => {}, addEventListener: () => {}, removeEventListener: () => {}, close: () => {} } as PortLike;
}

/** Channels that have asked something and got no answer. How many are still there when nobody wants them any more. */
async function leftOver(end: (channel: Channel) => void): Promise<number> {
  const channels = Array.from({ length: 20 }, () => {
    const channel = new Channel(deadPort(), () => {});
    channel.call("ping", []).catch(() => {});
    end(channel);
    return new WeakRef(channel);
  });
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
  return channels.filter((channel) => channel.deref() !== undefined).length;
}

test("a channel that has failed leaves nothing behind", async () => {
  // The last one may still lie in a register.
  expect(await leftOver((channel) => channel.fail(new BrokerGone()))).toBeLessThanOrEqual(1);
});

test("control: one that nobody has ended stays: comlink keeps its endpoint, and the endpoint all else", async () => {
  expect(await leftOver(() => {})).toBe(20);
});

test("after its failure, calls are rejected and nothing is posted", async () => {
  const posted: unknown[] = [];
  const channel = new Channel({ ...deadPort(), postMessage: (message: unknown) => void posted.push(message) }, () => {});
  const pending = channel.call("ping", []);
  channel.fail(new BrokerGone());
  await expect(pending).rejects.toBeInstanceOf(BrokerGone);
  await expect(channel.call("ping", [])).rejects.toBeInstanceOf(BrokerGone);
  expect(posted).toHaveLength(1);
});
