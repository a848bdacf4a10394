import { useTranslate } from "../../../devtools/context.ts";
import type { Place } from "../../../devtools/panels/map/LiveMap.tsx";
import type { Outcome } from "../../sender.ts";

/** What became of the last send. */
export function SendOutcome({ outcome, onInspect }: { outcome: Outcome; onInspect: (place: Place) => void }) {
  const t = useTranslate();
  if (outcome.state === "none") return null;
  if (outcome.state === "sending") return <p class="outcome sent">{t("live.sending", { count: outcome.count })}</p>;
  if (outcome.state === "failed") return <Failed {...outcome} />;

  const { last: { messageQueue: { topic, queueId }, queueOffset: offset, msgId }, count, tookMs } = outcome;
  return (
    <div class="outcome good sent">
      <p>
        <strong>{t("live.durable", { count })}</strong> {t("live.durable.after", { time: t.duration(tookMs) })}
        {count > 1 && <>; {t("live.durable.last")}</>}
      </p>
      <dl>
        <div><dt>{t("live.queue")}</dt><dd data-result="queue">{queueId}</dd></div>
        <div><dt>{t("live.offset")}</dt><dd data-result="offset">{offset}</dd></div>
        <div>
          <dt>msgId</dt>
          <dd><button type="button" class="link" onClick={() => onInspect({ topic, queueId, offset })}><code data-result="msgId">{msgId}</code></button></dd>
        </div>
      </dl>
    </div>
  );
}

function Failed({ field, sentence, stored, count }: { field: string | undefined; sentence: string; stored: number; count: number }) {
  const t = useTranslate();
  return (
    <p class="outcome bad sent" role="alert">
      <strong>{stored === 0 ? t("live.failed", { count }) : t("live.failed.some", { stored, count })}</strong>{" "}
      {field === undefined ? sentence : t("live.failed.field")}
    </p>
  );
}
