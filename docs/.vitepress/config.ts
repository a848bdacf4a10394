/**
 * The site: `npm run docs`. DOCS_BASE: the path it is served under, "/" unless given.
 * The pages are docs/**.md as they lie; README, SECURITY and CHANGELOG are pages of it too. Links between them work here as they do in the repository.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DefaultTheme, defineConfig } from "vitepress";
import { houseMarkdown } from "./markdown.ts";

const docs = fileURLToPath(new URL("..", import.meta.url));
const root = join(docs, "..");

/** Vitepress brings Vite 5, which refuses a worker whose options are no constants (the name is made at run time). So that it leaves the worker alone, and takes its script along as any file. */
function workerAsItIs() {
  const expression = /(new (?:Shared)?Worker\(new URL\("\.\/worker\.js", import\.meta\.url\), )\{/g;
  return {
    name: "worker-as-it-is",
    enforce: "pre" as const,
    transform: (code: string, id: string) => (id.startsWith(join(root, "dist")) ? code.replaceAll(expression, "$1/* @vite-ignore */ {") : undefined),
  };
}

/** Pictures that pages link to, and do not show. */
function pictures() {
  return {
    name: "pictures",
    generateBundle(this: { emitFile(file: { type: "asset"; fileName: string; source: Uint8Array }): string }) {
      this.emitFile({ type: "asset", fileName: "soak.svg", source: readFileSync(join(docs, "soak.svg")) });
    },
  };
}

/** The first heading of each page of a folder. */
function titles(folder: string): { text: string; link: string }[] {
  return readdirSync(join(docs, folder))
    .filter((name) => name.endsWith(".md") && name !== "index.md")
    .sort()
    .map((name) => {
      const heading = /^# (.+)$/m.exec(readFileSync(join(docs, folder, name), "utf8"))?.[1] ?? name;
      // Numbers as they are said; long names may be broken where a word begins.
      const text = heading.replaceAll(/[\\`]/g, "").replace(/^0*(\d+)\.? /, "$1. ").replaceAll(/([a-z])([A-Z])/g, "$1<wbr>$2");
      return { text, link: `/${folder}/${name.slice(0, -3)}` };
    });
}

/** What can be imported from one entry of the package. */
function reference(entry: string): DefaultTheme.SidebarItem {
  const kinds = { classes: "Classes", functions: "Functions", interfaces: "Interfaces", "type-aliases": "Types", variables: "Values" };
  const items = Object.entries(kinds)
    .filter(([folder]) => existsSync(join(docs, "reference", entry, folder)))
    .map(([folder, text]) => ({
      text,
      collapsed: folder !== "functions",
      items: titles(`reference/${entry}/${folder}`).map((item) => ({ ...item, text: item.text.replace(/^[^:]+: /, "") })),
    }));
  return { text: entry, link: `/reference/${entry}/`, items };
}

const guide: DefaultTheme.SidebarItem[] = [
  {
    text: "Guide",
    items: [
      { text: "Getting started", link: "/guide/getting-started" },
      { text: "How it works", link: "/guide/how-it-works" },
      { text: "Where the broker runs", link: "/guide/hosts" },
      { text: "Durability", link: "/guide/durability" },
      { text: "Your bundler and framework", link: "/guide/bundlers" },
      { text: "Testing", link: "/guide/testing" },
    ],
  },
  {
    text: "Notions",
    items: [
      { text: "Topic and queue", link: "/notions/topic-and-queue" },
      { text: "Producer", link: "/notions/producer" },
      { text: "Consumer group and rebalance", link: "/notions/consumer-group" },
      { text: "Clustering and broadcasting", link: "/notions/message-model" },
      { text: "Push, pull, simple", link: "/notions/push-pull-simple" },
      { text: "Order", link: "/notions/order" },
      { text: "Filters: tags and SQL92", link: "/notions/filters" },
      { text: "Retry and dead letter", link: "/notions/retry" },
      { text: "Delay and timers", link: "/notions/delay" },
      { text: "Transactions", link: "/notions/transactions" },
      { text: "Outbox and exactly once", link: "/notions/exactly-once" },
      { text: "Request and reply", link: "/notions/request-reply" },
      { text: "Priority", link: "/notions/priority" },
      { text: "Offsets and reset", link: "/notions/offsets" },
      { text: "Trace", link: "/notions/trace" },
      { text: "Retention and storage", link: "/notions/storage" },
      { text: "Encryption", link: "/notions/encryption" },
    ],
  },
  {
    text: "Recipes",
    items: [
      { text: "One tab does the job", link: "/recipes/leader" },
      { text: "Orders while offline", link: "/recipes/offline-orders" },
      { text: "Invalidate caches in every tab", link: "/recipes/cache-invalidation" },
      { text: "Progress in every tab", link: "/recipes/progress" },
      { text: "No faster than the server likes", link: "/recipes/rate-limit" },
      { text: "Count exactly once", link: "/recipes/count-once" },
      { text: "Look inside", link: "/recipes/debug" },
      { text: "A strict Content-Security-Policy", link: "/recipes/csp" },
    ],
  },
  {
    text: "Coming from",
    items: [
      { text: "RocketMQ", link: "/from/rocketmq" },
      { text: "BroadcastChannel", link: "/from/broadcast-channel" },
      { text: "workbox-background-sync", link: "/from/workbox-background-sync" },
      { text: "BullMQ and other job queues", link: "/from/job-queues" },
    ],
  },
  {
    text: "In full",
    items: [
      { text: "Limits and guarantees", link: "/guarantees" },
      { text: "Messages", link: "/messages" },
      { text: "HTTP outbox", link: "/http-outbox" },
      { text: "Service worker", link: "/service-worker" },
      { text: "Typed topics and React", link: "/react" },
      { text: "Administration", link: "/administration" },
      { text: "Playground and devtools", link: "/devtools" },
      { text: "Differences from RocketMQ", link: "/differences" },
      { text: "Reliability", link: "/reliability" },
      { text: "Security", link: "/security" },
      { text: "README", link: "/readme" },
      { text: "Changes", link: "/changes" },
    ],
  },
];

export default defineConfig({
  base: process.env.DOCS_BASE ?? "/",
  lang: "en",
  title: "TabMQ",
  description: "RocketMQ's model inside the browser: a durable message broker that all tabs of an origin share, with no server.",
  head: [["link", { rel: "icon", type: "image/svg+xml", href: `${process.env.DOCS_BASE ?? "/"}favicon.svg` }]],
  lastUpdated: false,
  markdown: { config: houseMarkdown },
  vite: {
    // The package as it is built and published.
    resolve: { alias: { tabmq: join(root, "dist/index.js") } },
    plugins: [workerAsItIs(), pictures()],
    publicDir: join(root, "public"),
    server: { fs: { allow: [root] } },
  },
  themeConfig: {
    logo: "/favicon.svg",
    outline: { level: [2, 3] },
    search: { provider: "local" },
    nav: [
      { text: "Guide", link: "/guide/getting-started", activeMatch: "^/(guide|notions|from)/" },
      { text: "Recipes", link: "/recipes/leader", activeMatch: "^/recipes/" },
      { text: "API", link: "/reference/", activeMatch: "^/reference/" },
      { text: "Guarantees", link: "/guarantees" },
      { text: "Design", link: "/decisions/", activeMatch: "^/decisions/" },
    ],
    sidebar: {
      "/reference/": ["tabmq", "tabmq/react", "tabmq/service-worker", "tabmq/testing"].map(reference),
      "/decisions/": [{ text: "Design", link: "/decisions/", items: titles("decisions") }],
      "/": guide,
    },
    footer: { message: "Apache-2.0" },
    notFound: { quote: "There is no such page." },
  },
});
