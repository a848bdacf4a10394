import { useEffect, useMemo } from "preact/hooks";
import type { BrokerStats } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";
import { Progress } from "../../ui/Answer.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { openSink } from "./export-sink.ts";
import { messagesIn } from "./log-records.ts";
import { fileName, Transfer } from "./transfer.ts";

/** Everything that is stored, into a file. */
export function ExportLog({ stats }: { stats: BrokerStats }) {
  const { session, announce } = useDevtools();
  const t = useTranslate();
  const transfer = useMemo(() => new Transfer(), []);
  useEffect(() => () => transfer.cancel(), []);
  const { state: { value: state }, bytes: { value: bytes }, messages: { value: count } } = transfer;
  const start = async (): Promise<void> => {
    const end = await transfer.run(async (signal) => {
      const sink = await openSink(fileName(session.namespace, new Date()));
      if (sink === null) return false;
      await session.mq.admin.exportLog().pipeThrough(transfer.counting(messagesIn)).pipeTo(sink, { signal });
      return true;
    });
    if (end === "done") announce(t("broker.export.done", { count: transfer.messages.value, bytes: t.bytes(transfer.bytes.value) }));
  };
  return (
    <Panel title={t("broker.export")}>
      <div class="stack" data-transfer="export" data-state={state}>
        <p>{t("broker.export.text")}</p>
        {state === "running" && (
          <>
            {/* The log's size on disk is about what is written: deleted topics may make it less. */}
            <Progress label={t("broker.transfer.progress", { count, bytes: t.bytes(bytes) })} value={Math.min(bytes, stats.bytes)} max={Math.max(1, stats.bytes)} />
            <p class="hint">{t("broker.transfer.stay")}</p>
          </>
        )}
        {state === "done" && <p class="outcome good" role="status">{t("broker.export.done", { count, bytes: t.bytes(bytes) })}</p>}
        {state === "cancelled" && <p class="outcome" role="status">{t("broker.export.cancelled")}</p>}
        {state === "failed" && <p class="outcome bad" role="alert"><strong>{t("broker.export.failed")}</strong> {reasonOf(transfer.failure.value)}</p>}
        <div class="buttons">
          {state === "running"
            ? <button type="button" class="button" onClick={() => transfer.cancel()}>{t("broker.export.cancel")}</button>
            : <button type="button" class="button primary" onClick={() => void start()}>{t("broker.export.start")}</button>}
        </div>
      </div>
    </Panel>
  );
}
