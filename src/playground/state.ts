import { effect, signal } from "@preact/signals";
import type { Diagnostics, TabMQ, TopicConfig } from "../index.ts";
import { defaultGroup, readAddress, writeAddress } from "./location.ts";

/** What several parts of the page look at. Each part's own state lives in that part's file. */

export const address = readAddress();

export type Phase = "connecting" | "connected" | "reconnecting" | "failed";
export const phase = signal<Phase>("connecting");
/** Why there is no connection, as a sentence. */
export const failure = signal("");
export const client = signal<TabMQ | null>(null);
export const diagnostics = signal<Diagnostics | null>(null);
export const topics = signal<TopicConfig[]>([]);

/** The topic that is looked at and sent to, and the group through whose eyes the queues are seen. */
export const topic = signal(address.topic);
export const group = signal(address.group);

export function selectTopic(name: string, seenBy = defaultGroup(name)): void {
  if (name === topic.value) return;
  topic.value = name;
  group.value = seenBy;
}

effect(() => writeAddress(topic.value, group.value));

/** Read aloud by screen readers, politely. */
export const announcement = signal("");

export function announce(text: string): void {
  announcement.value = text;
}

/** The message whose details are shown. */
export interface Place {
  topic: string;
  queueId: number;
  offset: number;
}
export const inspected = signal<Place | null>(null);
export const showsShortcuts = signal(false);
