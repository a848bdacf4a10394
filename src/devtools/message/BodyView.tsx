import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { BodyKind } from "../../index.ts";
import { useTranslate } from "../context.ts";
import { download } from "../download.ts";
import { useStyles } from "../styles.ts";
import { CopyButton } from "../ui/CopyButton.tsx";
import { Choice } from "../ui/Field.tsx";
import { BODY_VIEWS, type BodyViewName, ownView, textOf, writeBody } from "./body.ts";
import css from "./message.css?inline";

interface BodyViewProps {
  body: Uint8Array;
  kind: BodyKind;
  /** What a file with it is called, without the ending. */
  name: string;
  /** undefined = as its kind is. */
  view: BodyViewName | undefined;
  onView: (view: BodyViewName) => void;
}

/** What is shown at first; each wish for more shows four times as much. */
const FIRST_SHOWN = 65_536;
const ENDINGS = { bytes: "bin", text: "txt", json: "json" } as const;

/** A body as text, as JSON or byte by byte. Of megabytes the beginning, and more when somebody asks; as a file it is whole. */
export function BodyView({ body, kind, name, view = ownView(kind), onView }: BodyViewProps) {
  useStyles(css);
  const t = useTranslate();
  const wished = useSignal(FIRST_SHOWN);
  const written = useMemo(() => writeBody(body, view), [body, view]);
  const shown = Math.min(wished.value, written.length);
  const pieces = useMemo(() => written.pieces(shown), [written, shown]);
  return (
    <div class="body-view">
      <div class="body-tools">
        <Choice name="body-view" legend={t("messages.body.view")} value={view} options={BODY_VIEWS.map((one) => [one, t(`messages.body.${one}`)] as const)} onChoose={onView} />
        <span class="quiet">{t("messages.body.facts", { size: t.bytes(body.byteLength), kind: t(`messages.kind.${kind}`) })}</span>
        <span class="buttons">
          {view !== "hex" && <CopyButton key={view} text={() => textOf(body).text} label={t("common.copy")} />}
          <button type="button" class="button small" onClick={() => download(new Blob([body as Uint8Array<ArrayBuffer>], { type: "application/octet-stream" }), `${name}.${ENDINGS[kind]}`)}>{t("messages.body.download")}</button>
        </span>
      </div>
      {written.problem !== undefined && <p class="outcome warn" role="status">{t(`messages.body.${written.problem}`)}</p>}
      <div class={view === "hex" ? "body hex" : "body"} role="region" tabIndex={0} aria-label={t("messages.body")} data-view={view}>
        {pieces.map((piece, at) => <pre key={at}>{piece}</pre>)}
      </div>
      {shown < written.length && (
        <div class="body-tools">
          <span role="status">{t(view === "hex" ? "messages.body.shownBytes" : "messages.body.shownCharacters", { shown, total: written.length })}</span>
          <button type="button" class="button small" onClick={() => (wished.value = shown * 4)}>{t("messages.body.more")}</button>
        </div>
      )}
    </div>
  );
}
