import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./components/App.tsx";
import { startConsumer } from "./consumers.ts";
import { ownCount, receivedElsewhere } from "./feed.ts";
import { count } from "./format.ts";
import { totalBacklog, watchLanes } from "./lanes.ts";
import { openSession } from "./session.ts";
import { address, group, showsShortcuts, topic } from "./state.ts";
import { listenToTabs } from "./tabs.ts";

/** Every tab begins with a consumer: a second tab shows at once how a group shares queues. */
async function begin(): Promise<void> {
  if (!(await openSession())) return;
  watchLanes();
  listenToTabs(address.namespace, receivedElsewhere);
  await startConsumer({ topic: topic.value, group: group.value, expression: "*", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
}

effect(() => {
  const state = totalBacklog.value > 0 ? `${count(totalBacklog.value)} waiting` : `${count(ownCount.value)} received`;
  document.title = `${state} · ${topic.value} – TabMQ playground`;
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "/") document.querySelector<HTMLInputElement>("#topic")?.select();
  else if (event.key === "?") showsShortcuts.value = true;
  else return;
  event.preventDefault();
});

/** A key that is text to somebody is no shortcut. */
function isWriting(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !["radio", "range", "checkbox"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

render(<App />, document.querySelector("#app")!);
void begin();
