import { bench } from "./bench.ts";
import { broker } from "./broker.ts";
import { deadLetters } from "./dead-letters.ts";
import { diagnostics } from "./diagnostics.ts";
import { groups } from "./groups.ts";
import { live } from "./live.ts";
import { map } from "./map.ts";
import { messages } from "./messages.ts";
import { scenarios } from "./scenarios.ts";
import { shell } from "./shell.ts";
import { timers } from "./timers.ts";
import { topics } from "./topics.ts";
import { transactions } from "./transactions.ts";

/**
 * Every text in English. `{name}` stands for a value; a text that counts has a singular and a plural, by {count}. For types and
 * tests only: a page has the texts of the panels that it has loaded (panel.ts).
 */
export const en = { ...shell, ...map, ...live, ...topics, ...groups, ...messages, ...deadLetters, ...transactions, ...timers, ...broker, ...diagnostics, ...scenarios, ...bench } as const;
