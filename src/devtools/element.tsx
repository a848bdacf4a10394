import { effect } from "@preact/signals";
import { render, type VNode } from "preact";
import type { ConnectOptions, TabMQ } from "../index.ts";
import { type Devtools, DevtoolsContext } from "./context.ts";
import type { PanelDefinition } from "./panel.ts";
import { PANELS } from "./panels.ts";
import { Router } from "./router.ts";
import { Session } from "./session.ts";
import { Settings } from "./settings.ts";
import { Shell } from "./Shell.tsx";
import { Styles } from "./styles.ts";
import tokens from "./styles/tokens.css?inline";
import base from "./styles/base.css?inline";

/** In Node, where a server renders a page that imports this, there are no elements: the class exists and does nothing. */
const Base: typeof HTMLElement = globalThis.HTMLElement ?? Object;

/** Puts something around all panels, and takes it away with them. */
export interface Furniture {
  provide(shell: VNode): VNode;
  stop(): void;
}

/**
 * `<tabmq-devtools namespace="shop">`: a namespace's topics, groups, messages and its broker, inside any page. Attributes:
 * `namespace` (default "default"), `path` (which panel: `/topics/orders`), `lang` ("en", "zh"), `theme` ("auto", "light",
 * "dark"), `host` as in `connect`. The property `client` gives it a connection that is there already. Each move is told by
 * the event `navigate`.
 */
export class TabmqDevtools extends Base {
  static readonly observedAttributes: readonly string[] = ["namespace", "host", "path", "lang", "theme"];
  #client: TabMQ | undefined;
  #parts: (Devtools & { stop: () => void }) | null = null;
  #isWaiting = false;

  get client(): TabMQ | undefined {
    return this.#client;
  }

  set client(client: TabMQ | undefined) {
    this.#client = client;
    this.#restart();
  }

  /** Which panels there are, in the order of the menu. */
  protected get panels(): readonly PanelDefinition[] {
    return PANELS;
  }

  /** After code could not be loaded. The page around the element is not the element's to reload. */
  protected restart(): void {
    this.#restart();
  }

  /** What another kind of element has besides, for as long as it is connected. */
  protected furnish(_devtools: Devtools): Furniture {
    return { provide: (shell) => shell, stop: () => {} };
  }

  connectedCallback(): void {
    if (this.#parts === null) this.#restart();
  }

  /** Style sheets do not come along into another document. */
  adoptedCallback(): void {
    this.#restart();
  }

  disconnectedCallback(): void {
    // An element that is moved within the page is taken out and put in at once: it goes on.
    queueMicrotask(() => {
      if (!this.isConnected) this.#stop();
    });
  }

  attributeChangedCallback(name: string, before: string | null, value: string | null): void {
    const parts = this.#parts;
    if (parts === null) return;
    // Moves within the element are not written into its attribute: the same value again may be the way back.
    if (name === "path") parts.router.follow(value ?? "/");
    else if (before === value) return;
    else if (name === "theme") parts.settings.follow({ theme: value });
    else if (name === "lang") parts.settings.follow({ language: value });
    else this.#restart();
  }

  /** Attributes and properties are set one after the other; one start is enough for all of them. */
  #restart(): void {
    if (!this.isConnected || this.#isWaiting) return;
    this.#isWaiting = true;
    queueMicrotask(() => {
      this.#isWaiting = false;
      if (!this.isConnected) return;
      this.#stop();
      this.#start();
    });
  }

  #start(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const styles = new Styles(root);
    for (const css of [tokens, base]) styles.add(css);
    const host = (this.getAttribute("host") ?? "auto") as NonNullable<ConnectOptions["host"]>;
    const session = new Session(this.getAttribute("namespace") ?? "default", { host, client: this.#client });
    const settings = new Settings({ language: this.getAttribute("lang"), theme: this.getAttribute("theme") });
    const router = new Router(this.getAttribute("path") ?? "/", (path, replace) => this.dispatchEvent(new CustomEvent("navigate", { detail: { path, replace } })));
    const live = document.createElement("p");
    const announce = (text: string): void => void (live.textContent = text);
    const frame = document.createElement("div");
    frame.className = "frame";
    live.className = "unseen";
    live.setAttribute("aria-live", "polite");
    root.replaceChildren(frame, live);
    const stopEffect = effect(() => {
      frame.dataset.theme = settings.theme.value;
      frame.lang = settings.translate.value.language === "zh" ? "zh-Hans" : "en";
    });
    const devtools = { session, router, settings, styles, announce, restart: () => this.restart() };
    const furniture = this.furnish(devtools);
    const stop = (): void => {
      stopEffect();
      render(null, frame);
      furniture.stop();
      void session.close();
    };
    this.#parts = { ...devtools, stop };
    render(<DevtoolsContext.Provider value={devtools}>{furniture.provide(<Shell panels={this.panels} />)}</DevtoolsContext.Provider>, frame);
    void session.open();
  }

  #stop(): void {
    this.#parts?.stop();
    this.#parts = null;
  }
}
