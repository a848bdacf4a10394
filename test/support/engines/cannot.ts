/** What an engine, or the protocol that drives it, cannot do, and the tests that need it. They are skipped there, with this reason. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "./engine.ts";

export interface Limit {
  engine: EngineName;
  reason: string;
  /** By file: beginnings of full names, suites and test joined by a blank. An empty beginning means every test. */
  tests: Record<string, string[]>;
}

const CRASHES = {
  "test/tabs/crash.test.ts": [
    "a tab crashes what a crashed consumer had in hand",
    "a tab crashes control: a worker that does not watch",
    "a tab crashes the tab with the worker crashes",
    "a tab crashes control: a call on a port of the dead worker",
  ],
  "test/tabs/consumers-under-load.test.ts": ["consumers under load a tab crashes", "consumers under load control: a worker that does not watch", "consumers under load control: a worker to which"],
  "test/tabs/tab-host.test.ts": ["tabs without a SharedWorker the host's tab crashes"],
  "test/tabs/pop.test.ts": [""],
  "test/tabs/broadcasting.test.ts": [""],
  "test/tabs/request.test.ts": [""],
  "test/tabs/transactional-outbox.test.ts": [""],
  "test/tabs/http-outbox.test.ts": [""],
};

/** Whole files: a beginning that every test has. */
const LEVELDB = {
  "test/fault/torn-log.test.ts": [""],
  "test/fault/power-cut.test.ts": [""],
  "test/fault/loss.test.ts": ["the database is lost between two runs"],
  "test/fault/unknown-outcome.test.ts": [""],
};
const HEAP = { "test/tabs/cycles.test.ts": [""] };
const TRUSTED_TYPES = { "test/tabs/trusted-types.test.ts": [""] };
const PROTOCOL = {
  "test/fault/closed-connection.test.ts": ["the database's connection is closed by force"],
  "test/fault/loss.test.ts": ["the database is lost while tabs are open the user clears it", "the database is lost while tabs are open DevTools delete it"],
  "test/fault/broker-death.test.ts": [""],
  "test/fault/storage-full.test.ts": [""],
  "test/tabs/consumers-under-load.test.ts": ["consumers under load a tab freezes", "consumers under load control: a worker that takes late"],
  "test/tabs/freeze.test.ts": [""],
  "test/tabs/privacy.test.ts": [""],
};
const WORKERS = { "test/tabs/package.test.ts": ["the worker's text runs a broker"] };
const SERVICE_WORKER = { "test/tabs/service-worker.test.ts": [""] };
const FROZEN = { "test/fault/hung.test.ts": ["a hung worker is not what a slow disk"] };

const PANELS = readdirSync(join(import.meta.dirname, "../../tabs/panels")).map((file) => `panels/${file}`);
const PLAYGROUND = Object.fromEntries(["playground.test.ts", "offline.test.ts", "order-pad.test.ts", ...PANELS].map((file) => [`test/tabs/${file}`, [""]]));

export const CANNOT: Limit[] = [
  ...(["firefox", "webkit"] as const).flatMap((engine): Limit[] => [
    { engine, reason: "the test cuts, damages or watches the files of Chromium's LevelDB", tests: LEVELDB },
    { engine, reason: "the test is written with Playwright's pages, which do not drive this engine", tests: TRUSTED_TYPES },
    { engine, reason: "the test closes, freezes, limits or allows things by Chromium's protocol", tests: PROTOCOL },
    { engine, reason: "the test counts what lives in pages and workers by Chromium's protocol", tests: HEAP },
    { engine, reason: "the test looks into a dedicated worker by Playwright, which does not drive this engine", tests: WORKERS },
    { engine, reason: "freezing a page is a command of Chromium's protocol", tests: FROZEN },
    { engine, reason: "a service worker's sync and push events are sent by Chromium's protocol", tests: SERVICE_WORKER },
  ]),
  {
    engine: "firefox",
    reason: "does not come to its end in Firefox; why is not known",
    tests: { "test/fault/closed-connection.test.ts": ["the database's connection is not needed by us alone"] },
  },
  { engine: "firefox", reason: "WebDriver BiDi has no command that ends a page's process", tests: CRASHES },
  { engine: "webkit", reason: "WebKitWebDriver gives up its session when a page's process ends", tests: CRASHES },
  { engine: "firefox", reason: "the test is written with Playwright's locators and keyboard, which do not drive a stock Firefox", tests: PLAYGROUND },
  { engine: "webkit", reason: "the test is written with Playwright's locators and keyboard, which do not drive WebKitGTK", tests: PLAYGROUND },
  {
    engine: "firefox",
    reason: "Firefox keeps no page that has a shared worker, or that held a lock when it was left, for going back",
    tests: { "test/tabs/bfcache.test.ts": [""] },
  },
  {
    engine: "webkit",
    reason: "WebKit keeps no page with no-store, lock or not",
    tests: { "test/tabs/bfcache.test.ts": ["back-forward cache a page with no-store", "back-forward cache control:"] },
  },
  {
    engine: "webkit",
    reason: "MiniBrowser under automation keeps its data in memory: nothing survives the end of the browser",
    tests: { "test/fault/sigkill.test.ts": [""] },
  },
  {
    engine: "webkit",
    reason: "a tab that is opened beside busy ones is not ready within two minutes there, in two runs of three; whether by WebKit, its driver or us is not known",
    tests: { "test/tabs/consumers-under-load.test.ts": ["consumers under load a tab is closed"] },
  },
  {
    engine: "firefox",
    reason: "Firefox does not know extendedLifetime: a SharedWorker ends with its last page, quick or slow",
    tests: { "test/tabs/last-tab.test.ts": ["the last tab goes in the task", "on a slow disk the worker outlives"] },
  },
  {
    engine: "webkit",
    reason: "when a page is left in the task in which it sends, its worker stays, or the next one cannot read the store for ten seconds; whether by WebKit, its driver or us is not known",
    tests: { "test/tabs/last-tab.test.ts": [""] },
  },
  { engine: "webkit", reason: "WebKit passes no CryptoKey to a SharedWorker", tests: { "test/tabs/encryption.test.ts": [""] } },
];

/** What shows no more in another engine than in Chromium, or little for the time it takes: in `npm run test:engines`, not in `npm test`. */
const ELSEWHERE: Limit["tests"] = {
  ...Object.fromEntries(
    ["fault/damage", "fault/hostile-port", "fault/loss", "fault/two-builds", "fault/two-versions", "tabs/package", "tabs/reopen", "tabs/csp", "tabs/csp-recipe", "tabs/namespaces", "tabs/environments", "tabs/retention", "tabs/consumers-under-load", "tabs/query", "tabs/tab-host", "tabs/last-tab", "tabs/docs"].map((name) => [`test/${name}.test.ts`, [""]]),
  ),
  "test/fault/sigkill.test.ts": ["kill -9 of the whole browser control"],
};

export function limitsOf(engine: EngineName, file: string): { reason: string; beginning: string }[] {
  const all = process.env.TABMQ_LONG || process.env.TABMQ_EVERYWHERE ? CANNOT : [...CANNOT, ...(["firefox", "webkit"] as const).map((one) => ({ engine: one, reason: "left to `npm run test:engines`", tests: ELSEWHERE }))];
  return all.filter((limit) => limit.engine === engine).flatMap(({ reason, tests }) => (tests[file] ?? []).map((beginning) => ({ reason, beginning })));
}
