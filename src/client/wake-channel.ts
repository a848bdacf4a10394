import { BroadcastPort } from "../platform/broadcast-port.ts";
import type { WakeChannel } from "./environment.ts";

export function openWakeChannel(name: string, onWake: () => void): WakeChannel {
  const channel = new BroadcastPort(name);
  channel.addEventListener("message", onWake);
  return { post: () => channel.postMessage(null), close: () => channel.close() };
}
