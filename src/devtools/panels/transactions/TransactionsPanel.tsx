import { useSignal } from "@preact/signals";
import type { OpenTransaction } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { transactions } from "../../i18n/en/transactions.ts";
import { useNow } from "../../now.ts";
import { usePolled } from "../../polled.ts";
import { useStyles } from "../../styles.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { type End, TransactionTable } from "./TransactionTable.tsx";
import css from "./transactions.css?inline";

export const texts = [transactions];

const EVERY = 2000;
const FIRST_SHOWN = 200;
/** There are never more. */
const MOST_SHOWN = 4000;

/** Transactions in doubt: messages that nobody sees until their producer, or somebody here, has decided. */
export default function TransactionsPanel() {
  useStyles(css);
  const { session } = useDevtools();
  const t = useTranslate();
  const most = useSignal(FIRST_SHOWN);
  const asked = useSignal<{ transaction: OpenTransaction; state: End } | null>(null);
  const ended = useSignal<{ transaction: OpenTransaction; state: End } | null>(null);
  const open = usePolled(() => session.mq.admin.openTransactions({ max: most.value }), EVERY, [most.value]);
  const report = session.diagnostics.value;
  const now = useNow();
  return (
    <Panel title={t("transactions.nav")} tools={<button type="button" class="button small" onClick={open.refresh}>{t("common.refresh")}</button>}>
      {ended.value !== null && <p class="outcome good" role="status">{t(`transactions.ended.${ended.value.state}`, { id: ended.value.transaction.msgId })}</p>}
      <Answer of={open}>
        {(rows) => rows.length === 0 ? <Empty title={t("transactions.none")}>{t("transactions.none.hint")}</Empty> : (
          <>
            <p class="quiet intro">{t("transactions.intro")}</p>
            <TransactionTable rows={rows} now={now} mostChecks={report?.settings.transactionCheckMax} onEnd={(transaction, state) => (asked.value = { transaction, state })} />
            {rows.length === most.value && most.value < MOST_SHOWN && (
              <div class="transaction-more">
                <span class="quiet" role="status">{t("transactions.shown", { count: rows.length })}</span>
                <button type="button" class="button small" onClick={() => (most.value = MOST_SHOWN)}>{t("transactions.more")}</button>
              </div>
            )}
          </>
        )}
      </Answer>
      {asked.value !== null && (
        <Confirm
          title={t(`transactions.${asked.value.state}.title`)} action={t(`transactions.${asked.value.state}`)} done={t(`transactions.ended.${asked.value.state}`, { id: asked.value.transaction.msgId })}
          act={async () => {
            const { transaction, state } = asked.value!;
            await session.mq.admin.endTransaction({ msgId: transaction.msgId, state });
            ended.value = { transaction, state };
            open.refresh();
          }}
          onClose={() => (asked.value = null)}
        >
          <div class="stack">
            <p>{t(`transactions.${asked.value.state}.warning`, { topic: asked.value.transaction.topic })}</p>
            <p class="outcome warn">{t("transactions.warning", { group: asked.value.transaction.producerGroup })}</p>
          </div>
        </Confirm>
      )}
    </Panel>
  );
}
