/** A panel brings its English texts along: here it is looked up that it brings all that it and its parts may say. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { en } from "../../src/devtools/i18n/en/index.ts";
import { live } from "../../src/devtools/i18n/en/live.ts";
import { shell } from "../../src/devtools/i18n/en/shell.ts";
import { translator } from "../../src/devtools/i18n/translate.ts";

const SRC = resolve(import.meta.dirname, "../../src");
const KEYS = Object.keys(en);
const PREFIXES = [...new Set(KEYS.map((key) => key.split(".")[0]!))].join("|");

/** Panels by the lists of the elements. */
function panels(): string[] {
  return ["devtools/panels.ts", "playground/element.tsx"].flatMap((list) => [...read(list).matchAll(/load: \(\) => import\("(.+?)"\)/g)].map(([, file]) => join(dirname(list), file!)));
}

function read(file: string): string {
  return readFileSync(join(SRC, file), "utf8");
}

/** A file with all of the devtools and the playground that it imports, now or later. */
function parts(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file) || !/^(devtools|playground)\//.test(file) || file.includes("/i18n/") || !/\.tsx?$/.test(file) || !existsSync(join(SRC, file))) return found;
  found.add(file);
  for (const [, target] of read(file).matchAll(/(?:from|import\()\s*"(\.[^"?]+)"/g)) parts(join(dirname(file), target!), found);
  return found;
}

/** Keys that a file names; of a key that is put together, all that begin so. */
function named(file: string): string[] {
  return [...read(file).matchAll(new RegExp(`["\`]((?:${PREFIXES})\\.[\\w.-]*)(\\$\\{)?`, "g"))].flatMap(([, key, isOpen]) =>
    isOpen === undefined ? KEYS.filter((one) => one === key) : KEYS.filter((one) => one.startsWith(key!)),
  );
}

/** Texts that the code of a panel has besides those that every panel may say. */
function brought(file: string): Set<string> {
  const source = read(file);
  const names = /export const texts = \[(.*)\];/.exec(source)?.[1]?.split(", ") ?? [];
  const files = names.map((name) => new RegExp(`import \\{ ${name} \\} from "(.+)"`).exec(source)![1]!);
  return new Set(files.flatMap((section) => [...readFileSync(join(SRC, dirname(file), section), "utf8").matchAll(/^ {2}"([\w.-]+)":/gm)].map(([, key]) => key!)));
}

function missing(files: Iterable<string>, has: ReadonlySet<string>): string[] {
  return [...files].flatMap((file) => named(file).filter((key) => !(key in shell) && !has.has(key)).map((key) => `${file}: ${key}`));
}

describe("the texts of a panel", () => {
  it("are all there when it is", () => {
    expect(panels().length).toBe(12);
    for (const file of panels()) {
      // The workshop of the playground, which is there before any of its panels, has brought its own.
      const workshop = file.startsWith("playground/") ? Object.keys(live) : [];
      expect(missing(parts(file), new Set([...brought(file), ...workshop])), file).toEqual([]);
    }
  });

  it("control: of a panel without its texts they are missed, also those of its parts", () => {
    const found = missing(parts("devtools/panels/broker/BrokerPanel.tsx"), new Set());
    expect(found).toContain("devtools/panels/broker/QuotaBar.tsx: broker.quota.used");
    expect(found.length).toBeGreaterThan(80);
  });

  it("of the frame are there before any panel, and so are those of what goes on beside the panels", () => {
    expect(missing(["devtools/Shell.tsx", "devtools/ConnectionStatus.tsx", "devtools/panels.ts"], new Set())).toEqual([]);
    const beside = ["workshop.ts", "sender.ts", "stream.ts", "consumers.ts", "feed.ts", "element.tsx"].map((file) => `playground/${file}`);
    expect(missing(beside, new Set(Object.keys(live)))).toEqual([]);
  });

  it("what is missing all the same is shown by its key", () => {
    expect(translator("en", shell)("topics.none")).toBe("topics.none");
  });
});
