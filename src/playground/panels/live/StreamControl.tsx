import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { RATES, type Stream } from "../../stream.ts";

/** A steady stream of the message that is written, until it is stopped. */
export function StreamControl({ stream, onTopic }: { stream: Stream; onTopic: (topic: string) => void }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const isRunning = stream.isRunning.value;
  return (
    <div class="stream">
      <select
        class="select" aria-label={t("live.stream.rate")} value={stream.rate.value}
        onChange={(event) => (stream.rate.value = RATES.find((rate) => String(rate) === event.currentTarget.value) ?? 10)}
      >
        {RATES.map((rate) => <option key={rate} value={rate} selected={rate === stream.rate.value}>{t("live.stream.perSecond", { count: rate })}</option>)}
      </select>
      <button type="button" class="button" disabled={session.phase.value === "connecting"} onClick={() => (isRunning ? stream.stop() : stream.start(onTopic))}>
        {isRunning ? t("live.stream.stop") : t("live.stream.start")}
      </button>
      {isRunning && <span class="quiet stream-state">{t("live.stream.running", { count: stream.sent.value })}{stream.isBehind.value && <> · {t("live.stream.slow")}</>}</span>}
    </div>
  );
}
