import { MQError } from "../model/errors.ts";
import { BroadcastPort } from "../platform/broadcast-port.ts";
import { systemClock } from "../platform/clock.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import type { ClientEnvironment, HostChoice } from "./environment.ts";
import { lateBroker } from "./late-port.ts";
import { ScopeHosting, type ScopeHost } from "./scope-hosting.ts";
import { visit } from "./hosting.ts";
import { openWakeChannel } from "./wake-channel.ts";

const NEEDED = ["BroadcastChannel", "MessageChannel", "indexedDB"];

const HERE: HostChoice = { code: "SERVICE_WORKER", reason: "No tab has a broker at the moment: it runs in this service worker, until its work is done or a tab opens." };
const ELSEWHERE: HostChoice = { code: "ANOTHER_SERVES", reason: "A worker of the tabs serves this namespace; this service worker is connected to that." };

/** What a service worker has: it can start no worker, has no local storage, and is never put aside and shown again. */
export function serviceWorkerEnvironment(namespace: string, startHost: () => ScopeHost): ClientEnvironment {
  const missing = NEEDED.filter((name) => !(name in globalThis));
  if (!("locks" in navigator)) missing.push("navigator.locks");
  if (missing.length > 0) throw new MQError("UNSUPPORTED_ENVIRONMENT", `TabMQ needs IndexedDB, Web Locks and BroadcastChannel in the service worker; missing here: ${missing.join(", ")}.`);
  const locks = webLocks(navigator.locks);
  const doorstep = { namespace, storage: "indexeddb", locks, random: systemRandom, openChannel: (name: string) => new BroadcastPort(name) };
  const hosting = new ScopeHosting({
    ...doorstep,
    startHost,
    openChannelPair() {
      const { port1, port2 } = new MessageChannel();
      return [port1, port2];
    },
  });
  return {
    locks,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    openBroker: (generation) => lateBroker((broker) => hosting.enter(generation, broker)),
    openDoor: () => lateBroker((broker) => visit(doorstep, broker)),
    choice: () => (hosting.isHosting ? HERE : ELSEWHERE),
    release: () => hosting.end(),
    page: { onHide: () => () => {}, onShow: () => () => {} },
    memo: null,
    openWakeChannel,
  };
}
