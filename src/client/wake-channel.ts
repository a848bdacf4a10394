import { BroadcastPort } from "../platform/broadcast-port.ts";
import type { WakeChannel } from "./environment.ts";

export function openWakeChannel(name: string, onWake: () => void): WakeChannel {
  const channel = new BroadcastPort(name);
  channel.addEventListener("message", onWake);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
  return { post: () => channel.postMessage(null), close: () => channel.close() };
}
