import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type BrokerStats, type ImportResult, MQError } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import type { Translate } from "../../i18n/translate.ts";
import { reasonOf } from "../../polled.ts";
import { Progress } from "../../ui/Answer.tsx";
import { describedBy, Field } from "../../ui/Field.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Transfer } from "./transfer.ts";

/** A log that was exported, into this namespace, as long as there is nothing in it. */
export function ImportLog({ stats, onChange }: { stats: BrokerStats; onChange: () => void }) {
  const { session, announce } = useDevtools();
  const t = useTranslate();
  const transfer = useMemo(() => new Transfer(), []);
  const file = useSignal<File | null>(null);
  const result = useSignal<ImportResult | null>(null);
  useEffect(() => () => transfer.cancel(), []);
  const { state: { value: state }, bytes: { value: bytes } } = transfer;
  // A part of a log whose import was broken off has messages and no topic: the same log may go on there.
  const isTaken = stats.topics > 0;
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    const chosen = file.value;
    if (chosen === null) return;
    const end = await transfer.run(async (signal) => {
      result.value = await session.mq.admin.importLog(chosen.stream().pipeThrough(transfer.counting(), { signal }));
      return true;
    });
    if (end === "done") announce(doneText(t, result.value!));
    onChange();
  };
  return (
    <Panel title={t("broker.import")}>
      <form class="stack" data-transfer="import" data-state={state} onSubmit={(event) => void start(event)}>
        <p>{t("broker.import.text")}</p>
        {state === "done" && result.value !== null && <p class="outcome good" role="status">{doneText(t, result.value)}</p>}
        {(state === "failed" || state === "cancelled") && <Failure error={transfer.failure.value} isCancelled={state === "cancelled"} />}
        {state === "running"
          ? (
            <>
              <Progress label={t("broker.import.progress", { bytes: t.bytes(bytes), all: t.bytes(file.value?.size ?? 0) })} value={bytes} max={Math.max(1, file.value?.size ?? 0)} />
              <p class="hint">{t("broker.transfer.stay")}</p>
              <div class="buttons"><button type="button" class="button" onClick={() => transfer.cancel()}>{t("broker.import.cancel")}</button></div>
            </>
          )
          : isTaken
            ? state !== "done" && <p class="outcome" data-result="taken">{t("broker.import.taken", { topics: t("broker.topics", { count: stats.topics }), messages: t("common.messages", { count: stats.messages }) })}</p>
            : (
              <>
                {stats.messages > 0 && <p class="outcome warn">{t("broker.import.part", { count: stats.messages })}</p>}
                <Field id="import-file" label={t("broker.import.file")}>
                  <input id="import-file" type="file" onChange={(event) => (file.value = event.currentTarget.files?.[0] ?? null)} {...describedBy("import-file", undefined)} />
                </Field>
                <div class="buttons"><button type="submit" class="button primary" disabled={file.value === null}>{t("broker.import.start")}</button></div>
              </>
            )}
      </form>
    </Panel>
  );
}

function doneText(t: Translate, { imported, topics, damaged }: ImportResult): string {
  const text = t("broker.import.done", { count: imported, topics });
  return damaged === 0 ? text : `${text} ${t("broker.import.damaged", { count: damaged })}`;
}

/** The library's reason, what it means, and how things stand now. */
function Failure({ error, isCancelled }: { error: unknown; isCancelled: boolean }) {
  const t = useTranslate();
  return (
    <div class={isCancelled ? "outcome" : "outcome bad"} role="alert">
      <p><strong>{t(isCancelled ? "broker.import.cancelled" : "broker.import.failed")}</strong> {!isCancelled && reasonOf(error)}</p>
      {!isCancelled && <p>{t(`broker.import.why.${reasonKind(error)}`)}</p>}
    </div>
  );
}

function reasonKind(error: unknown): "namespace" | "version" | "file" | "storage" | "other" {
  if (!(error instanceof MQError)) return "other";
  if (error.field === "namespace") return "namespace";
  if (error.code === "UPGRADE_REQUIRED") return "version";
  if (error.code === "MESSAGE_ILLEGAL") return "file";
  return error.code === "STORAGE_FULL" ? "storage" : "other";
}
