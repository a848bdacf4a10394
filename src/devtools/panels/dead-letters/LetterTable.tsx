import { useTranslate } from "../../context.ts";
import type { MessageSummary } from "../../message/summary.ts";
import { pathTo } from "../../router.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";

interface LetterTableProps {
  letters: readonly MessageSummary[];
  /** msgIds */
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
  onEdit: (letter: MessageSummary) => void;
}

export function LetterTable({ letters, chosen, onChoose, onEdit }: LetterTableProps) {
  const t = useTranslate();
  const toggle = (msgId: string): void => {
    const next = new Set(chosen);
    if (!next.delete(msgId)) next.add(msgId);
    onChoose(next);
  };
  return (
    <DataTable<MessageSummary>
      label={t("deadLetters.nav")} rows={letters} keyOf={({ offsetMsgId }) => offsetMsgId}
      columns={[
        {
          id: "time", title: t("deadLetters.time"), width: "190px",
          cell: ({ msgId, time }) => (
            <span class="check">
              <input type="checkbox" aria-label={t("deadLetters.choose", { id: msgId })} checked={chosen.has(msgId)} onChange={() => toggle(msgId)} />
              <Link to={pathTo("messages", [msgId])} title={msgId}>{t.time(time)}</Link>
            </span>
          ),
        },
        { id: "topic", title: t("deadLetters.topic"), width: "minmax(0, 0.8fr)", cell: (letter) => <Link to={pathTo("topics", [originOf(letter)])} title={originOf(letter)}>{originOf(letter)}</Link> },
        { id: "tries", title: t("deadLetters.tries"), width: "60px", number: true, cell: ({ reconsumeTimes }) => t.number(reconsumeTimes) },
        { id: "reason", title: t("deadLetters.reason"), width: "minmax(0, 1.8fr)", cell: ({ properties }) => <span class="reason" title={properties["DLQ_ERROR"]}>{properties["DLQ_ERROR"] ?? "–"}</span> },
        { id: "keys", title: t("deadLetters.keys"), cell: ({ keys }) => keys.slice(0, 20).join(" ") || "–" },
        { id: "body", title: t("deadLetters.body"), width: "minmax(0, 1.4fr)", cell: ({ beginning, isCut }) => <span class="row-body">{isCut ? `${beginning}…` : beginning}</span> },
        { id: "edit", title: t("deadLetters.deeds"), width: "128px", pinned: true, cell: (letter) => <button type="button" class="button small" onClick={() => onEdit(letter)}>{t("deadLetters.edit")}</button> },
      ]}
    />
  );
}

/** The topic it was sent to. */
export function originOf({ properties, topic }: MessageSummary): string {
  return properties["DLQ_ORIGIN_TOPIC"] ?? topic;
}
