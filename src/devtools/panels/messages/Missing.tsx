import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Life } from "./Life.tsx";

/** There is no message with this id, which has several reasons; what tabs have told of it may still be there. */
export function Missing({ id }: { id: string }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const kept = session.diagnostics.value?.settings.fileReservedTime;
  const reasons = [
    kept === undefined ? t("messages.missing.removed") : t("messages.missing.removedAfter", { time: t.duration(kept) }),
    t("messages.missing.deleted"),
    t("messages.missing.namespace", { namespace: session.namespace }),
    t("messages.missing.key"),
  ];
  return (
    <>
      <Panel eyebrow={t("messages.one")} title={<code>{id}</code>} tools={<Link class="button small" to={pathTo("messages", [], { key: id })}>{t("messages.missing.asKey")}</Link>}>
        <p role="status"><strong>{t("messages.missing")}</strong></p>
        <ul class="reasons">{reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul>
      </Panel>
      <Life msgId={id} size={0} isQuietWhenEmpty />
    </>
  );
}
