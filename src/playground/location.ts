import { checkGroup, checkTopic, type ConnectOptions } from "../index.ts";

/** What the page's address says: a second tab opened with the same address looks at the same things. */
export interface PageAddress {
  namespace: string;
  host: NonNullable<ConnectOptions["host"]>;
  topic: string;
  group: string;
}

const DEFAULT_TOPIC = "orders";
const MAX_GROUP_STEM = 100;

/**
 * All members of a group must subscribe to the same topics, or the broker refuses them. A group of its own for each
 * topic keeps tabs that look at different topics out of each other's way.
 */
export function defaultGroup(topic: string): string {
  return topic === DEFAULT_TOPIC ? "workers" : `${topic.slice(0, MAX_GROUP_STEM)}-workers`;
}

export function readAddress(search = globalThis.location.search): PageAddress {
  const parameters = new URLSearchParams(search);
  const topic = legal(parameters.get("topic"), checkTopic) ?? DEFAULT_TOPIC;
  const host = parameters.get("host");
  return {
    namespace: parameters.get("namespace") ?? "default",
    host: host === "memory" || host === "shared" ? host : "auto",
    topic,
    group: legal(parameters.get("group"), checkGroup) ?? defaultGroup(topic),
  };
}

export function writeAddress(topic: string, group: string): void {
  const url = new URL(globalThis.location.href);
  url.searchParams.set("topic", topic);
  url.searchParams.set("group", group);
  if (url.href !== globalThis.location.href) globalThis.history.replaceState(null, "", url);
}

function legal(name: string | null, check: (name: unknown) => void): string | undefined {
  if (name === null) return undefined;
  try {
    check(name);
    return name;
  } catch {
    return undefined;
  }
}
