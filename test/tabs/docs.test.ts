/** Each example of docs/examples does what its last lines say, in a page, as a reader runs it: the same file, the built package. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { transformWithOxc } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Example, play as playExample } from "../../docs/examples/live.ts";
import { House, type Tab } from "../support/house.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLES = join(ROOT, "docs/examples");
/** What has to come at once on the machine of a reader takes longer beside all other tests: sends have three seconds, by default. */
const PLAYS = 5;

const names = readdirSync(EXAMPLES).map((file) => file.replace(/\.ts$/, ""));
const examples = names.filter((name) => name !== "live");

/** The page's own modules, by the names that examples import them by. */
const imports = { tabmq: "/dist/index.js", idb: "/idb.js" };
const page = `<!doctype html><meta charset="utf-8"><title>examples</title><script type="importmap">${JSON.stringify({ imports })}</script><script type="module" src="/page.js"></script>`;
const pageScript = `import * as tabmq from "tabmq";
import { play } from "/examples/live.js";
globalThis.side = { tabmq, box: { play, load: (name) => import("/examples/" + name + ".js") } };`;

let house: House;
let tab: Tab;
beforeAll(async () => {
  const scripts = await Promise.all(names.map(async (name) => [`/examples/${name}.js`, await scriptOf(name)] as const));
  const idb = readFileSync(join(ROOT, "node_modules/idb/build/index.js"), "utf8");
  house = await House.open({ pages: { "/": page, "/page.js": pageScript, "/idb.js": idb, ...Object.fromEntries(scripts) } });
  tab = await house.tab();
});
afterAll(() => house.close());

async function scriptOf(name: string): Promise<string> {
  const file = join(EXAMPLES, `${name}.ts`);
  const { code } = await transformWithOxc(readFileSync(file, "utf8"), file);
  return code;
}

/** What the page has at hand. */
interface Box {
  play: typeof playExample;
  load(name: string): Promise<Example>;
}

interface Outcome {
  lines: string[];
  error?: string;
  stopped: boolean;
  /** Databases and notes of its own: when it was stopped, and that it has left. */
  meanwhile: string[];
  left: string[];
}

/** `stopAfter`: the reader presses Stop when so many lines are there. */
async function play(name: string, stopAfter?: number): Promise<Outcome> {
  return tab.run(
    async ({ box }, given) => {
      const { play: playIt, load } = box as unknown as Box;
      const leftOf = async (): Promise<string[]> => {
        const databases = (await indexedDB.databases()).map((database) => database.name ?? "");
        return [...databases, ...Object.keys(localStorage)].filter((key) => key.includes(`docs-${given.name}-`) && !key.endsWith("/generation"));
      };
      const stop = new AbortController();
      const lines: string[] = [];
      let meanwhile: string[] = [];
      const stopThere = async (): Promise<void> => {
        meanwhile = await leftOf();
        stop.abort();
      };
      const log = (line: string): void => {
        lines.push(line);
        if (lines.length === given.stopAfter) void stopThere();
      };
      const played = await playIt(given.name, await load(given.name), log, stop.signal);
      return { ...played, lines, meanwhile, left: await leftOf() };
    },
    { name, ...(stopAfter === undefined ? {} : { stopAfter }) },
  );
}

async function playInTime(name: string): Promise<Outcome> {
  for (let left = PLAYS - 1; ; left--) {
    const outcome = await play(name);
    if (left === 0 || !outcome.error?.startsWith("DEADLINE_EXCEEDED")) return outcome;
  }
}

function expected(name: string): { lines: string[]; ordered: boolean } {
  const [, unordered, text = ""] = /\n\/\/ (Unordered output|Output):\n([^]+)$/.exec(readFileSync(join(EXAMPLES, `${name}.ts`), "utf8")) ?? [];
  const lines = text.trimEnd().split("\n").map((line) => line.replace(/^\/\/ /, ""));
  return { lines, ordered: unordered === "Output" };
}

describe("examples", () => {
  test.each(examples)("%s", async (name) => {
    const { lines, ordered } = expected(name);
    const outcome = await playInTime(name);
    expect(outcome.error).toBeUndefined();
    expect(ordered ? outcome.lines : outcome.lines.toSorted()).toEqual(ordered ? lines : lines.toSorted());
    expect(lines.length).toBeGreaterThan(0);
    expect(outcome.left).toEqual([]);
  });

  test("an example that is stopped in the middle ends, and leaves nothing", async () => {
    const outcome = await play("retry", 1);
    expect(outcome).toMatchObject({ stopped: true, left: [] });
    expect(outcome.lines[0]).toBe("attempt 1");
    // Control: there was something to leave.
    expect(outcome.meanwhile).toContainEqual(expect.stringMatching(/^tabmq\/docs-retry-/));
  });
});
