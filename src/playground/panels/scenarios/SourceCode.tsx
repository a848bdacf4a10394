import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import { CopyButton } from "../../../devtools/ui/CopyButton.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { appCode, shownCode } from "./app-code.ts";
import type { ScenarioEntry } from "./scenarios.ts";

/** Enough to see at a glance what is said and what is named: comments, texts, words of the language. */
const TOKEN = /(?<comment>\/\/.*|\/\*[^]*?\*\/)|(?<text>"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|(?<word>\b(?:async|await|const|let|return|for|of|new|throw|if|else|function|export|import|type|from|try|catch|finally|while)\b)/g;

interface SourceCodeProps {
  entry: ScenarioEntry;
  /** As they are chosen. */
  parameters: Readonly<Record<string, number>>;
  /** It needs a broker that can be killed, which a page of somebody else's has not. */
  hasOwnBroker: boolean;
}

/** The very file that has just been played; and a copy of it that plays in any page. */
export function SourceCode({ entry, parameters, hasOwnBroker }: SourceCodeProps) {
  const t = useTranslate();
  const source = useSignal("");
  const stage = useSignal("");
  useEffect(() => {
    void entry.source().then(({ default: text }) => (source.value = text));
    void import("./app-stage.ts?raw").then(({ default: text }) => (stage.value = text));
  }, []);
  const app = (): string => appCode(source.value, stage.value, parameters);
  return (
    <Panel title={t("scenarios.source")} tools={<CopyButton text={() => shownCode(source.value)} label={t("common.copy")} />}>
      <p class="hint story-hint">{t.rich("scenarios.source.hint", { stage: <code>stage</code> })}</p>
      <pre class="story-code" tabIndex={0} aria-label={t("scenarios.source")}><code>{coloured(shownCode(source.value))}</code></pre>
      <div class="story-app">
        {hasOwnBroker
          ? <p class="hint">{t.rich("scenarios.app.ownBroker", { worker: <code>worker</code>, file: <code>killable-broker.ts</code> })}</p>
          : (
            <>
              <p class="hint">{t("scenarios.app.hint")}</p>
              <CopyButton text={app} label={t("scenarios.app.copy")} />
              <details>
                <summary>{t("scenarios.app.show")}</summary>
                <pre class="story-code" tabIndex={0} aria-label={t("scenarios.app.show")}><code>{coloured(app())}</code></pre>
              </details>
            </>
          )}
      </div>
    </Panel>
  );
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
