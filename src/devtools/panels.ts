import type { PanelDefinition } from "./panel.ts";

/** What the element shows, in the order of its menu. */
export const PANELS: readonly PanelDefinition[] = [
  { id: "map", title: "map.nav", section: "see", load: () => import("./panels/map/MapPanel.tsx") },
  { id: "topics", title: "topics.nav", section: "operate", load: () => import("./panels/topics/TopicsPanel.tsx") },
  { id: "groups", title: "groups.nav", section: "operate", load: () => import("./panels/groups/GroupsPanel.tsx") },
  { id: "messages", title: "messages.nav", section: "operate", load: () => import("./panels/messages/MessagesPanel.tsx") },
  { id: "dead-letters", title: "deadLetters.nav", section: "operate", load: () => import("./panels/dead-letters/DeadLettersPanel.tsx") },
  { id: "transactions", title: "transactions.nav", section: "operate", load: () => import("./panels/transactions/TransactionsPanel.tsx") },
  { id: "timers", title: "timers.nav", section: "operate", load: () => import("./panels/timers/TimersPanel.tsx") },
  { id: "broker", title: "broker.nav", section: "look-after", load: () => import("./panels/broker/BrokerPanel.tsx") },
  { id: "diagnostics", title: "diagnostics.nav", section: "look-after", load: () => import("./panels/diagnostics/DiagnosticsPanel.tsx") },
];
