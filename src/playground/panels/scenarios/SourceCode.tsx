import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import { CopyButton } from "../../../devtools/ui/CopyButton.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import type { ScenarioEntry } from "./scenarios.ts";

/** An application has no such type; and the library is called as an application calls it. */
const STAGE_TYPE = /^import type \{ Stage \} .*\n|(?<=\bstage): Stage<"[^"]*">/gm;
const LIBRARY = /"[./]+\/index\.ts"/g;
/** Enough to see at a glance what is said and what is named: comments, texts, words of the language. */
const TOKEN = /(?<comment>\/\/.*|\/\*[^]*?\*\/)|(?<text>"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|(?<word>\b(?:async|await|const|let|return|for|of|new|throw|if|else|function|export|import|type|from|try|catch|finally|while)\b)/g;

/** The very file that has just been played. */
export function SourceCode({ entry }: { entry: ScenarioEntry }) {
  const t = useTranslate();
  const code = useSignal("");
  useEffect(() => void entry.source().then(({ default: source }) => (code.value = cut(source))), []);
  return (
    <Panel title={t("scenarios.source")} tools={<CopyButton text={() => code.value} label={t("common.copy")} />}>
      <p class="hint story-hint">{t.rich("scenarios.source.hint", { stage: <code>stage</code> })}</p>
      <pre class="story-code" tabIndex={0} aria-label={t("scenarios.source")}><code>{coloured(code.value)}</code></pre>
    </Panel>
  );
}

function cut(source: string): string {
  return source.replaceAll(STAGE_TYPE, "").replaceAll(LIBRARY, '"tabmq"').trim();
}

function coloured(code: string) {
  const parts = [];
  let end = 0;
  for (const match of code.matchAll(TOKEN)) {
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0];
    parts.push(code.slice(end, match.index), <span class={`code-${kind ?? ""}`}>{match[0]}</span>);
    end = match.index + match[0].length;
  }
  return [...parts, code.slice(end)];
}
