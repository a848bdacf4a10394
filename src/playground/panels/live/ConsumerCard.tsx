import { useTranslate } from "../../../devtools/context.ts";
import { queuesText } from "../../../devtools/panels/map/Group.tsx";
import { MAX_RETRIES, type TabConsumer } from "../../consumers.ts";
import { useWorkshop } from "../../workshop.ts";

const SLOWEST = 2000;
const STEP = 100;
const FAILS = [0, 10, 3, 1] as const;

export function ConsumerCard({ consumer }: { consumer: TabConsumer }) {
  const { consumers } = useWorkshop();
  const t = useTranslate();
  const { id, group, topic, expression, slowness, failsEvery } = consumer;
  const state = consumer.state.value;
  const isIdle = state === "starting" || state === "stopping";
  const queues = consumer.queues.value;
  return (
    <article class="card" aria-label={t("live.consumer", { group })}>
      <div class="card-head">
        <h3 title={group}>{group}</h3>
        <span class={`state ${state}`}>{t(`live.consumer.${state}`)}</span>
      </div>
      <p class="card-line">
        {t.rich("live.consumer.reads", { topic: <span class="name" title={topic}>{topic}</span> })}
        {expression !== "*" && <> {t.rich("live.consumer.filter", { expression: <code>{expression}</code> })}</>}
      </p>
      <p class="card-line">
        {queues.length === 0 ? t("map.member.idle") : queuesText(t, queues)} · {t("live.consumer.received", { count: consumer.received.value })}
        {consumer.failed.value > 0 && <span class="warn failures"> · {t("live.consumer.failed", { count: consumer.failed.value })}</span>}
      </p>
      {consumer.trouble.value !== "" && <p class="error" role="alert">{consumer.trouble.value}</p>}
      <div class="slider">
        <label for={`slow-${id}`}>{t("live.consumer.slowness")}</label>
        <input
          id={`slow-${id}`} type="range" min={0} max={SLOWEST} step={STEP}
          value={slowness.value} aria-valuetext={t.duration(slowness.value)}
          onInput={(event) => (slowness.value = event.currentTarget.valueAsNumber)}
        />
        <output for={`slow-${id}`}>{t.duration(slowness.value)}</output>
      </div>
      <div class="slider">
        <label for={`fails-${id}`}>{t("live.consumer.fails")}</label>
        <select
          id={`fails-${id}`} class="select" value={failsEvery.value} aria-describedby={`fails-${id}-hint`}
          onChange={(event) => (failsEvery.value = Number(event.currentTarget.value))}
        >
          {FAILS.map((every) => <option key={every} value={every} selected={every === failsEvery.value}>{t(`live.consumer.fails.${every}`)}</option>)}
        </select>
      </div>
      <p class="hint" id={`fails-${id}-hint`} hidden={failsEvery.value === 0}>{t("live.consumer.fails.hint", { count: MAX_RETRIES })}</p>
      <div class="buttons">
        <button type="button" class="button small" disabled={isIdle} onClick={() => consumers.toggleSuspended(consumer)}>
          {t(state === "suspended" ? "live.consumer.resume" : "live.consumer.suspend")}
        </button>
        <button type="button" class="button small" disabled={isIdle} onClick={() => void consumers.stop(consumer)}>{t("live.consumer.stop")}</button>
      </div>
    </article>
  );
}
