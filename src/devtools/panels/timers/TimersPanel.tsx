import { useSignal } from "@preact/signals";
import type { PendingTimer } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { timers } from "../../i18n/en/timers.ts";
import { useNow } from "../../now.ts";
import { usePolled } from "../../polled.ts";
import { useStyles } from "../../styles.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { describedBy, Field } from "../../ui/Field.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { TimerTable } from "./TimerTable.tsx";
import css from "./timers.css?inline";

export const texts = [timers];

const EVERY = 2000;
const FIRST_SHOWN = 200;
const MOST_SHOWN = 4000;

/** `/timers?topic=`: messages that wait for their time, the soonest first. */
export default function TimersPanel() {
  useStyles(css);
  const { session, router } = useDevtools();
  const t = useTranslate();
  const { topic = "" } = router.route.value.query;
  const wanted = useSignal(topic);
  const most = useSignal(FIRST_SHOWN);
  const asked = useSignal<PendingTimer | null>(null);
  const outcome = useSignal<{ tone: "good" | "warn"; text: string } | null>(null);
  const waiting = usePolled(() => session.mq.admin.pendingTimers({ max: most.value, ...(topic !== "" && { topic }) }), EVERY, [topic, most.value]);
  const now = useNow();
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    router.refine({ topic: wanted.value.trim() });
  };
  const recall = async (timer: PendingTimer): Promise<void> => {
    const { recalled } = await session.mq.admin.recall(timer.recallHandle!);
    outcome.value = recalled ? { tone: "good", text: t("timers.recalled", { id: timer.msgId }) } : { tone: "warn", text: t("timers.tooLate", { id: timer.msgId }) };
    waiting.refresh();
  };
  return (
    <Panel title={t("timers.nav")} tools={<button type="button" class="button small" onClick={waiting.refresh}>{t("common.refresh")}</button>}>
      <form class="timer-filter" onSubmit={onSubmit}>
        <Field id="timer-topic" label={t("timers.topic")}>
          <input id="timer-topic" autocomplete="off" autocapitalize="none" spellcheck={false} value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} {...describedBy("timer-topic", undefined)} />
        </Field>
        <button type="submit" class="button">{t("common.filter")}</button>
      </form>
      {outcome.value !== null && <p class={`outcome ${outcome.value.tone}`} role="status">{outcome.value.text}</p>}
      <Answer of={waiting}>
        {(rows) => rows.length === 0 ? <Empty title={topic === "" ? t("timers.none") : t("timers.none.topic", { topic })}>{t("timers.none.hint")}</Empty> : (
          <>
            <TimerTable rows={rows} now={now} onRecall={(timer) => (asked.value = timer)} />
            {rows.length === most.value && (
              <div class="timer-more">
                <span class="quiet" role="status">{t("timers.shown", { count: rows.length })}</span>
                {most.value < MOST_SHOWN && <button type="button" class="button small" onClick={() => (most.value = Math.min(MOST_SHOWN, most.value * 5))}>{t("timers.more")}</button>}
              </div>
            )}
          </>
        )}
      </Answer>
      {asked.value !== null && (
        <Confirm title={t("timers.recall.title")} action={t("timers.recall")} done={t("timers.recall.done")} act={() => recall(asked.value!)} onClose={() => (asked.value = null)}>
          {t("timers.recall.warning", { topic: asked.value.topic, time: t.dateTime(asked.value.deliverTimestamp) })}
        </Confirm>
      )}
    </Panel>
  );
}
