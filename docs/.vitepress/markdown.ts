/** What the site's Markdown can do besides: sections of the repository's own files, live examples, and links as the repository has them. */
import { readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { MarkdownEnv, MarkdownRenderer } from "vitepress";

const docs = fileURLToPath(new URL("..", import.meta.url));
const root = join(docs, "..");

/** Pages that lie elsewhere in the repository. */
const PAGES: Record<string, string> = { "README.md": "/readme.md", "SECURITY.md": "/security.md", "CHANGELOG.md": "/changes.md", "docs/decisions": "/decisions/" };

const SOURCES = /^(?:\.\.\/)*(?:assembly|bin|src|test)\//;

export function houseMarkdown(md: MarkdownRenderer): void {
  md.core.ruler.before("normalize", "house-blocks", (state) => {
    state.src = state.src
      .replaceAll(/^<!-- section: (\S+) "(.+)" -->$/gm, (_, file: string, heading: string) => section(file, heading))
      .replaceAll(/^<LiveExample name="([\w-]+)" \/>$/gm, (_, name: string) => `<LiveExample name="${name}">\n\n<<< @/examples/${name}.ts\n\n</LiveExample>`);
  });
  md.core.ruler.push("house-links", (state) => {
    const { path } = state.env as MarkdownEnv;
    let isSource = false;
    for (const token of state.tokens.flatMap(({ children }) => children ?? [])) {
      // A file of the repository that is no page is named here, and cannot be shown.
      if (token.type === "link_open") isSource = SOURCES.test(token.attrGet("href") ?? "");
      if (isSource && token.type.startsWith("link_")) {
        token.tag = "span";
        token.attrs = null;
        continue;
      }
      const name = token.type === "link_open" ? "href" : token.type === "image" ? "src" : undefined;
      const target = name && token.attrGet(name);
      if (name && target) token.attrSet(name, linkHere(target, path));
    }
  });
}

/** What stands below a heading, up to the next of its level or a higher one. Its own headings rise with it, the first to the second level. */
function section(file: string, heading: string): string {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const begin = lines.findIndex((line) => line.replace(/^#+ /, "") === heading && line.startsWith("##"));
  if (begin === -1) throw new Error(`${file} has no section "${heading}".`);
  const level = lines[begin]!.indexOf(" ");
  const isEnd = (line: string): boolean => /^#+ /.test(line) && line.indexOf(" ") <= level;
  const length = lines.slice(begin + 1).findIndex(isEnd);
  const text = lines.slice(begin + 1, length === -1 ? undefined : begin + 1 + length);
  const risen = text.map((line) => (/^#+ /.test(line) ? line.slice(level - 1) : line)).join("\n");
  // Its links are meant from where the file lies; `linkHere` takes them from the root.
  return risen.replaceAll(/\]\((?![a-z]+:|#|\.\.\/|\/)([^)]+)\)/g, (_, target: string) => `](${[...dirname(file).split("/").filter((part) => part !== "."), target].join("/")})`);
}

/** Links of the repository's files begin at its root, or go up to it. */
function linkHere(target: string, page: string): string {
  const [, name = "", anchor = ""] = /^(?:\.\.\/)*([^#]*)(#.*)?$/.exec(target) ?? [];
  const known = PAGES[name];
  if (known !== undefined) return known + anchor;
  if (!name.startsWith("docs/")) return target;
  const path = relative(dirname(page), join(root, name)).split(sep).join("/");
  return (path.startsWith(".") ? path : `./${path}`) + anchor;
}
