import type { ComponentChildren } from "preact";
import { address, client, diagnostics, phase } from "../state.ts";
import { tabHue, tabName } from "../tab-name.ts";

const PHASES = { connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…", failed: "Not connected" };

export function Header() {
  return (
    <header class="header">
      <div class="brand">
        <Logo />
        <div>
          <h1>TabMQ</h1>
          <p>A durable message broker inside your browser, shared by all tabs.</p>
        </div>
        <button type="button" class="button" disabled={client.value === null} onClick={openTab}>
          Open another tab <span aria-hidden="true">↗</span>
        </button>
      </div>
      <Status />
    </header>
  );
}

/** With `noopener`, as a user opens it: a process of its own, which shares nothing with this page but the broker. */
function openTab(): void {
  window.open(globalThis.location.href, "_blank", "noopener");
}

function Status() {
  const report = diagnostics.value;
  const id = client.value?.clientId;
  return (
    <dl class="status">
      <Item name="Broker">
        <span class={`phase ${phase.value}`} role="status">{PHASES[phase.value]}</span>
      </Item>
      <Item name="This tab">
        {id === undefined ? "–" : <span class="tab-name" title={`Client id ${id}`}><span class="dot" style={{ "--tab-hue": tabHue(id) }} aria-hidden="true" /><code>{tabName(id)}</code></span>}
      </Item>
      <Item name="Tabs" hint="Clients connected to the broker">{report?.broker.sessions ?? "–"}</Item>
      <Item name="Namespace">{address.namespace}</Item>
      {/* Every host this version knows is a SharedWorker. */}
      <Item name="Host">SharedWorker</Item>
      <Item name="Epoch" hint="How often a broker has taken over this namespace's store">{report?.broker.epoch ?? "–"}</Item>
      <Item name="Indexer" hint="What writes and scans the commit log">{report === null ? "–" : report.broker.indexer === "wasm" ? "WebAssembly" : "TypeScript"}</Item>
      <Item name="Messages">{report === null ? "–" : report.durability === "memory" ? "In memory only" : "Durable"}</Item>
    </dl>
  );
}

function Item({ name, hint, children }: { name: string; hint?: string; children: ComponentChildren }) {
  return (
    <div title={hint}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="logo-ground" width="32" height="32" rx="8" />
      <g class="logo-lanes">
        <rect x="6" y="8" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="13" y="8" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="20" y="8" width="6" height="4" rx="1.5" />
        <rect x="6" y="14" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="13" y="14" width="13" height="4" rx="1.5" />
        <rect x="6" y="20" width="20" height="4" rx="1.5" />
      </g>
    </svg>
  );
}
