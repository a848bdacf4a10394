/** An application has no such type of stage; and the library is called as an application calls it. */
const STAGE_IMPORT = /^import type \{ Stage \} .*\n/gm;
const STAGE_TYPE = /(?<=\bstage): Stage<"[^"]*">/g;
const LIBRARY = /"[./]+\/index\.ts"/g;
const IMPORT = /^import .*\n/gm;
const EXPORT = /^export \{.*\};\n/gm;

/** A story's file as it is shown. */
export function shownCode(source: string): string {
  return source.replaceAll(STAGE_IMPORT, "").replaceAll(STAGE_TYPE, "").replaceAll(LIBRARY, '"tabmq"').trim();
}

/** One module for a page of one's own, in TypeScript: the story, a stage, and that it plays. */
export function appCode(source: string, stage: string, parameters: Readonly<Record<string, number>>): string {
  const story = source.replaceAll(STAGE_IMPORT, "").replaceAll(STAGE_TYPE, ": Stage");
  const imports = [story, stage].flatMap((code) => code.match(IMPORT) ?? []);
  const parts = [story, stage.replaceAll(EXPORT, "")].map((code) => code.replaceAll(IMPORT, "").trim());
  const broker = /^export const broker\b/m.test(source) ? "broker" : "";
  const values = Object.keys(parameters).length > 0 ? `, { ${Object.entries(parameters).map(([name, value]) => `${name}: ${value}`).join(", ")} }` : "";
  return `${imports.join("")}\n${parts.join("\n\n")}\n\nif (!isTab) await new Stage(${broker}).play((stage) => run(stage${values}));\n`.replaceAll(LIBRARY, '"tabmq"');
}
