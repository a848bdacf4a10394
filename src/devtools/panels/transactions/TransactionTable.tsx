import type { OpenTransaction } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { running } from "../../now.ts";
import { pathTo } from "../../router.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";

/** How somebody decides. */
export type End = "COMMIT" | "ROLLBACK";

interface TransactionTableProps {
  /** The oldest first. */
  rows: readonly OpenTransaction[];
  now: number;
  mostChecks: number | undefined;
  onEnd: (transaction: OpenTransaction, state: End) => void;
}

export function TransactionTable({ rows, now, mostChecks, onEnd }: TransactionTableProps) {
  const t = useTranslate();
  return (
    <DataTable<OpenTransaction>
      label={t("transactions.nav")} rows={rows} keyOf={({ msgId }) => msgId}
      columns={[
        { id: "time", title: t("transactions.stored"), width: "152px", cell: ({ msgId, storeTimestamp }) => <Link to={pathTo("messages", [msgId])} title={msgId}>{t.time(storeTimestamp)}</Link> },
        { id: "topic", title: t("transactions.topic"), cell: ({ topic }) => <Link to={pathTo("topics", [topic])} title={topic}>{topic}</Link> },
        { id: "group", title: t("transactions.group"), cell: ({ producerGroup }) => <span title={producerGroup}>{producerGroup}</span> },
        { id: "keys", title: t("transactions.keys"), cell: ({ keys }) => keys.slice(0, 20).join(" ") || "–" },
        { id: "size", title: t("transactions.size"), width: "70px", number: true, cell: ({ bodySize }) => t.bytes(bodySize) },
        { id: "age", title: t("transactions.age"), width: "70px", number: true, cell: ({ storeTimestamp }) => running(t, now - storeTimestamp) },
        { id: "checks", title: t("transactions.checks"), hint: t("transactions.checks.hint"), width: "70px", number: true, cell: ({ checks }) => (mostChecks === undefined ? t.number(checks) : t("transactions.checksOf", { checks, most: mostChecks })) },
        { id: "next", title: t("transactions.next"), hint: t("transactions.next.hint"), width: "90px", number: true, cell: ({ nextCheckTimestamp: next }) => (next <= now ? t("transactions.next.now") : t("transactions.next.in", { time: running(t, next - now) })) },
        {
          id: "end", title: t("transactions.decide"), width: "190px", pinned: true,
          cell: (transaction) => (
            <span class="buttons">
              <button type="button" class="button small" onClick={() => onEnd(transaction, "COMMIT")}>{t("transactions.COMMIT")}</button>
              <button type="button" class="button small danger" onClick={() => onEnd(transaction, "ROLLBACK")}>{t("transactions.ROLLBACK")}</button>
            </span>
          ),
        },
      ]}
    />
  );
}
