import { useSignal } from "@preact/signals";
import type { MessageTrace, TraceEvent } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { LifeEvent } from "./LifeEvent.tsx";

interface LifeProps {
  msgId: string;
  /** Of its record, bytes. */
  size: number;
  /** Of an id that nobody knows there is nothing to say. */
  isQuietWhenEmpty?: boolean;
}

/** Shown at first. */
const FIRST_EVENTS = 100;

/** Every copy of the message is read for it: of a large one less often. */
export function everyFor(size: number): number {
  return 2000 + size / 100;
}

/** What has happened to a message, from its sending on, in the order of time. */
export function Life({ msgId, size, isQuietWhenEmpty = false }: LifeProps) {
  const { session } = useDevtools();
  const t = useTranslate();
  const trace = usePolled(() => session.mq.admin.messageTrace(msgId), everyFor(size), [msgId]);
  const isTraced = session.diagnostics.value?.settings.traceEnable !== false;
  if (isQuietWhenEmpty && (trace.value.value?.events.length ?? 0) === 0) return null;
  return (
    <Panel title={t("messages.life")}>
      <Answer of={trace}>{(answer) => <TimeLine trace={answer} />}</Answer>
      {!isTraced && <p class="hint">{t("messages.life.notTraced")}</p>}
    </Panel>
  );
}

function TimeLine({ trace: { events } }: { trace: MessageTrace }) {
  const t = useTranslate();
  const wished = useSignal(FIRST_EVENTS);
  const shown = events.slice(0, wished.value);
  const took = firstConsumedAfter(events);
  if (events.length === 0) return <Empty title={t("messages.life.none")} />;
  return (
    <>
      {took !== undefined && <p class="quiet">{t("messages.life.took", { time: t.duration(took) })}</p>}
      <ol class="life">
        {shown.map((event, at) => <LifeEvent key={at} event={event} sinceLast={at === 0 ? undefined : event.time - shown[at - 1]!.time} />)}
      </ol>
      {shown.length < events.length && (
        <div class="more">
          <span class="quiet" role="status">{t("messages.life.shown", { shown: shown.length, total: events.length })}</span>
          <button type="button" class="button small" onClick={() => (wished.value *= 4)}>{t("messages.life.more")}</button>
        </div>
      )}
    </>
  );
}

/** From its sending to the end of the first try that succeeded; undefined = one of the two is not known. */
function firstConsumedAfter(events: readonly TraceEvent[]): number | undefined {
  const sent = events.find(({ type }) => type === "SEND");
  const consumed = events.find((event) => event.type === "CONSUME" && event.success === true);
  if (sent === undefined || consumed?.type !== "CONSUME") return undefined;
  return consumed.time + (consumed.costTime ?? 0) - sent.time;
}
