import type { Entry } from "../translate.ts";

/** What every panel may say: the frame, the connection, charts, the menu. */
export const shell = {
  // The frame around the panels
  "shell.title": "TabMQ",
  "shell.panels": "Panels",
  "shell.skip": "Skip to the panel",
  "shell.language": "Language",
  "shell.theme": "Colours",
  "shell.theme.auto": "As the system",
  "shell.theme.light": "Light",
  "shell.theme.dark": "Dark",
  "shell.loading": "Loading…",
  "shell.broken": "This panel has failed",
  "shell.broken.reload": "Show it again",
  "shell.unknown": "There is no panel with this name.",
  "shell.unreachable": "No broker can be reached",
  "shell.retry": "Try again",
  "shell.thisTab": "This tab",

  // The connection
  "connection.connecting": "Connecting…",
  "connection.connected": "Connected",
  "connection.reconnecting": "Reconnecting…",
  "connection.failed": "Not connected",
  "connection.broker": "Broker",
  "connection.tabs": "Tabs",
  "connection.tabs.hint": "Clients connected to the broker",
  "connection.namespace": "Namespace",
  "connection.epoch": "Epoch",
  "connection.epoch.hint": "How often a broker has taken over this namespace's store",
  "connection.durability": "Messages",
  "connection.durable": "Durable",
  "connection.relaxed": "Flushed later",
  "connection.memory": "In memory only",

  // What several panels say
  "common.close": "Close",
  "common.cancel": "Cancel",
  "common.refresh": "Refresh",
  "common.none": "None",
  "common.loading": "Asking the broker…",
  "common.failed": "The broker did not answer: {reason}",
  "common.copy": "Copy",
  "common.copied": "Copied.",
  "common.notCopied": "The browser did not allow copying.",
  "common.typeToConfirm": "Type {name} to confirm",
  "common.filter": "Filter",
  "common.noMatch": "Nothing matches “{text}”.",
  "common.messages": { one: "{count} message", other: "{count} messages" },
  "common.queues": { one: "{count} queue", other: "{count} queues" },

  // Charts
  "chart.save": "Save as picture",
  "chart.saved": "The picture is in your downloads.",
  "chart.values": "All values as a table",
  "chart.time": "Time",
  "chart.name": "Name",
  "chart.summary": "{name}: lowest {least}, highest {most}.",
  "chart.summary.now": "{name}: now {last}, lowest {least}, highest {most}.",
  "chart.summary.none": "{name}: no values.",

  // The menu
  "map.nav": "Live map",
  "topics.nav": "Topics",
  "groups.nav": "Groups",
  "messages.nav": "Messages",
  "deadLetters.nav": "Dead letters",
  "transactions.nav": "Transactions",
  "timers.nav": "Timers",
  "broker.nav": "Broker",
  "diagnostics.nav": "Diagnostics",
  "scenarios.nav": "Scenarios",
  "bench.nav": "Bench",

  // The end of a connection
  "broker.over": "The connection is over",
  "broker.over.again": "A new connection begins with an empty namespace, unless somebody else has begun already.",
  "broker.over.given": "The connection was made by the application, which has to connect again.",
  "broker.over.connect": "Connect again",
} as const satisfies Record<string, Entry>;
