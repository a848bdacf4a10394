/*
 * What `tabmq/devtools` is to those who import it. The element itself is built with packages that are not installed along
 * with this one, so its own types would name what is not there; index.ts checks that it is what stands here.
 */
import type { TabMQ } from "../index.ts";

/** `detail.path`: where the element is now, as its attribute `path` takes it. `replace`: no step of its own in the history. */
export type NavigateEvent = CustomEvent<{ path: string; replace: boolean }>;

/**
 * `<tabmq-devtools namespace="shop">`: a namespace's topics, groups, messages and its broker, inside any page. Attributes:
 * `namespace` (default "default"), `path` (which panel: `/topics/orders`), `lang` ("en", "zh"), `theme` ("auto", "light",
 * "dark"), `host` as in `connect`. Each move is told by the event `navigate`.
 */
export interface TabmqDevtools extends HTMLElement {
  /** A connection that is there already, instead of one of its own. */
  client: TabMQ | undefined;
}

export declare const TabmqDevtools: {
  new (): TabmqDevtools;
  readonly observedAttributes: readonly string[];
};

declare global {
  interface HTMLElementTagNameMap {
    "tabmq-devtools": TabmqDevtools;
  }
}
