import { useSignal } from "@preact/signals";
import type { GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { useSubmit } from "../../submit.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { describedBy, Field } from "../../ui/Field.tsx";
import { planReset, resetOptions, type ResetPlan, type ResetTarget, type ResetWish } from "./reset-plan.ts";

interface ResetOffsetProps {
  info: GroupInfo;
  /** What was done, as a sentence. */
  onDone: (text: string) => void;
  onClose: () => void;
}

const KINDS = ["now", "earliest", "time", "offset"] as const;
const PLAN_EVERY = 3000;

/** Where a group goes on, at another place: says first how many messages it will skip, or see again. */
export function ResetOffset({ info: { group, topics, messageModel }, onDone, onClose }: ResetOffsetProps) {
  const { announce, session } = useDevtools();
  const t = useTranslate();
  const topic = useSignal(topics[0] ?? "");
  const queue = useSignal("");
  const kind = useSignal<(typeof KINDS)[number]>("now");
  const time = useSignal(localTime(Date.now() - 3_600_000));
  const offset = useSignal("0");
  const target = targetOf(kind.value, time.value, offset.value);
  const wish: ResetWish | null = target === null ? null : { group, topic: topic.value, queueId: queue.value === "" ? undefined : Number(queue.value), target };
  const plan = usePolled(async () => (wish === null ? null : planReset(session.mq.admin, wish)), PLAN_EVERY, [topic.value, queue.value, kind.value, time.value, offset.value]);
  const counts = usePolled(async () => (await session.mq.admin.topicStats(topic.value)).queues, PLAN_EVERY, [topic.value]);
  const { isBusy, problems, onSubmit } = useSubmit([], async () => {
    if (wish === null) return;
    const brokerName = counts.value.value?.[0]?.brokerName ?? "";
    const places = await session.mq.admin.resetOffset(resetOptions(wish, brokerName));
    const text = t("groups.reset.done", { topic: wish.topic, count: places.length });
    announce(text);
    onClose();
    onDone(text);
  });
  if (topics.length === 0 || messageModel === "BROADCASTING") {
    return <Dialog title={t("groups.reset")} onClose={onClose}><Empty title={t("groups.reset.nothing")}>{t(topics.length === 0 ? "groups.nobody.new" : "groups.noProgress.broadcast")}</Empty></Dialog>;
  }
  return (
    <Dialog title={t("groups.reset")} onClose={onClose}>
      <form class="stack" onSubmit={onSubmit} noValidate>
        <div class="pair">
          <Field id="reset-topic" label={t("topics.topic")}>
            <select id="reset-topic" value={topic.value} onChange={(event) => { topic.value = event.currentTarget.value; queue.value = ""; }}>
              {topics.map((name) => <option key={name} value={name} selected={name === topic.value}>{name}</option>)}
            </select>
          </Field>
          <Field id="reset-queue" label={t("topics.queue")}>
            <select id="reset-queue" value={queue.value} onChange={(event) => (queue.value = event.currentTarget.value)}>
              <option value="">{t("groups.reset.allQueues")}</option>
              {counts.value.value?.map(({ queueId }) => <option key={queueId} value={queueId}>{queueId}</option>)}
            </select>
          </Field>
        </div>
        <fieldset class="places">
          <legend>{t("groups.reset.to")}</legend>
          {KINDS.map((one) => (
            <label key={one} class="check"><input type="radio" name="reset-kind" value={one} checked={kind.value === one} onChange={() => (kind.value = one)} />{t(`groups.reset.${one}`)}</label>
          ))}
        </fieldset>
        {kind.value === "time" && (
          <Field id="reset-time" label={t("groups.reset.time.label")} hint={t("groups.reset.time.hint")} error={target === null ? t("groups.reset.time.bad") : undefined}>
            <input id="reset-time" type="datetime-local" step="1" value={time.value} onInput={(event) => (time.value = event.currentTarget.value)} {...describedBy("reset-time", target === null ? "" : undefined, true)} />
          </Field>
        )}
        {kind.value === "offset" && (
          <Field id="reset-offset" label={t("groups.reset.offset.label")} hint={t("groups.reset.offset.hint")} error={target === null ? t("groups.reset.offset.bad") : undefined}>
            <input id="reset-offset" type="number" min="0" value={offset.value} onInput={(event) => (offset.value = event.currentTarget.value)} {...describedBy("reset-offset", target === null ? "" : undefined, true)} />
          </Field>
        )}
        {wish !== null && <Answer of={plan}>{(value) => value !== null && <Plan plan={value} />}</Answer>}
        <p class="hint">{t("groups.reset.hint")}</p>
        {problems.value[""] !== undefined && <p class="error" role="alert">{problems.value[""]}</p>}
        <div class="buttons">
          <button type="submit" class="button danger" disabled={isBusy.value || wish === null || plan.value.value === undefined}>{t("groups.reset.do")}</button>
          <button type="button" class="button" onClick={onClose}>{t("common.cancel")}</button>
        </div>
      </form>
    </Dialog>
  );
}

function Plan({ plan: { queues, skipped, again } }: { plan: ResetPlan }) {
  const t = useTranslate();
  return (
    <div class="plan">
      <p class={skipped + again === 0 ? "outcome" : "outcome warn"} role="status">
        {skipped === 0 && again === 0 && t("groups.reset.nothingMoves")}
        {skipped > 0 && <span data-plan="skipped">{t("groups.reset.skipped", { count: skipped })}</span>} {again > 0 && <span data-plan="again">{t("groups.reset.again", { count: again })}</span>}
      </p>
      <details>
        <summary>{t("groups.reset.perQueue")}</summary>
        <DataTable
          label={t("groups.reset.perQueue")} rows={queues} keyOf={({ queueId }) => String(queueId)}
          columns={[
            { id: "queue", title: t("topics.queue"), cell: ({ queueId }) => <><span class="card-only">{t("topics.queue")} </span>{queueId}</> },
            { id: "from", title: t("groups.consumerOffset"), number: true, cell: ({ from }) => t.number(from) },
            { id: "to", title: t("groups.reset.newOffset"), number: true, cell: ({ to }) => t.number(to) },
          ]}
        />
      </details>
    </div>
  );
}

/** Null: what stands in the field is no time, or no offset. */
function targetOf(kind: (typeof KINDS)[number], time: string, offset: string): ResetTarget | null {
  if (kind === "now" || kind === "earliest") return { kind };
  if (kind === "offset") return /^\d{1,15}$/.test(offset.trim()) ? { kind, offset: Number(offset) } : null;
  const at = new Date(time).getTime();
  return Number.isNaN(at) ? null : { kind, at };
}

/** As a field of type datetime-local has it: on the clock of whoever looks at it. */
function localTime(at: number): string {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
