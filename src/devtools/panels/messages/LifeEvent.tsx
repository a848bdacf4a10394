import type { ComponentChildren } from "preact";
import type { TraceEvent } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import type { Translate } from "../../i18n/translate.ts";
import { pathTo } from "../../router.ts";
import { Link } from "../../ui/Link.tsx";
import { TabName } from "../../ui/TabName.tsx";
import { SCHEDULE_TOPIC } from "../map/names.ts";

interface LifeEventProps {
  event: TraceEvent;
  /** ms; undefined = it is the first. */
  sinceLast: number | undefined;
}

type Tone = "plain" | "good" | "warn" | "bad";

/** One line of a message's life: when, how long after the one before, what. */
export function LifeEvent({ event, sinceLast }: LifeEventProps) {
  const t = useTranslate();
  const { name, tone, text } = told(event, t);
  return (
    <li class={`event is-${tone}`} data-event={event.type}>
      <span class="event-time">
        <time dateTime={isoOf(event.time)}>{t.time(event.time)}</time>
        {sinceLast !== undefined && <span class="quiet">{`+${t.duration(sinceLast)}`}</span>}
      </span>
      <span class="event-text">
        <strong class="event-name">{name}</strong>
        <span>{text}</span>
      </span>
    </li>
  );
}

/** Anybody may write a trace: a time may be none. */
function isoOf(time: number): string | undefined {
  return Number.isNaN(new Date(time).getTime()) ? undefined : new Date(time).toISOString();
}

function told(event: TraceEvent, t: Translate): { name: string; tone: Tone; text: ComponentChildren } {
  const name = t(`messages.event.${event.type}`);
  switch (event.type) {
    case "SEND":
      return { name, tone: "plain", text: event.clientId === undefined ? t("messages.event.send.unknown") : t.rich("messages.event.send", { tab: <TabName clientId={event.clientId} />, group: <code>{event.group}</code> }) };
    case "STORE":
      return { name: t(waits(event.topic) === undefined ? "messages.event.STORE" : "messages.event.waits"), tone: waits(event.topic) === undefined ? "plain" : "warn", text: stored(event, t) };
    case "DELIVER":
      return { name, tone: "plain", text: who(event, t) };
    case "CONSUME":
      return { name: t("messages.event.try", { attempt: event.attempt }), tone: event.success === undefined ? "warn" : event.success ? "good" : "bad", text: tried(event, t) };
    case "RETRY":
      return { name, tone: "warn", text: t.rich("messages.event.retry", { group: groupLink(event.group), number: event.reconsumeTimes, place: place(event) }) };
    case "DEAD_LETTER":
      return { name, tone: "bad", text: [t.rich("messages.event.dead", { group: <Link to={pathTo("dead-letters", [event.group])}>{event.group}</Link> }), reason(event.reason)] };
    case "RESEND":
      return { name, tone: "warn", text: t.rich("messages.event.resend", { group: groupLink(event.group) }) };
    case "DISCARD":
      return { name, tone: "bad", text: who(event, t) };
    case "END_TRANSACTION": {
      const tone = ({ COMMIT: "good", ROLLBACK: "bad", UNKNOWN: "warn" } as const)[event.transactionState];
      return { name: t(`messages.event.end.${event.transactionState}`), tone, text: [ended(event, t), event.fromCheck === true && ` ${t("messages.event.end.fromCheck")}`] };
    }
    case "RECALL":
      return { name: t(event.success ? "messages.event.RECALL" : "messages.event.recallFailed"), tone: event.success ? "bad" : "warn", text: who(event, t) };
  }
}

/** For what a message waits in the broker's own topics. */
function waits(topic: string): "time" | "transaction" | undefined {
  if (topic === SCHEDULE_TOPIC || topic === "rmq_sys_wheel_timer") return "time";
  return topic === "RMQ_SYS_TRANS_HALF_TOPIC" ? "transaction" : undefined;
}

function stored(event: Extract<TraceEvent, { type: "STORE" }>, t: Translate): ComponentChildren {
  const why = waits(event.topic);
  if (why !== undefined) return t.rich(`messages.event.waits.${why}`, { place: place(event) });
  if (event.topic === "TRANS_CHECK_MAX_TIME_TOPIC") return t.rich("messages.event.givenUp", { place: place(event) });
  return place(event);
}

/** Topic, queue and offset. The link is to the very record. */
function place({ topic, queueId, queueOffset, offsetMsgId }: { topic: string; queueId: number; queueOffset: number; offsetMsgId: string }): ComponentChildren {
  return <Link to={pathTo("messages", [offsetMsgId])} title={offsetMsgId}>{`${topic} ${queueId}:${queueOffset}`}</Link>;
}

function groupLink(group: string): ComponentChildren {
  return <Link to={pathTo("groups", [group])}>{group}</Link>;
}

function who({ group, clientId }: { group: string; clientId?: string }, t: Translate): ComponentChildren {
  return clientId === undefined ? groupLink(group) : t.rich("messages.event.who", { group: groupLink(group), tab: <TabName clientId={clientId} /> });
}

/** The group of a transaction is one of producers, which has no page. */
function ended({ group = "", clientId }: { group?: string; clientId?: string }, t: Translate): ComponentChildren {
  return clientId === undefined ? <code>{group}</code> : t.rich("messages.event.who", { group: <code>{group}</code>, tab: <TabName clientId={clientId} /> });
}

function tried(event: Extract<TraceEvent, { type: "CONSUME" }>, t: Translate): ComponentChildren {
  const { costTime, returnType, success } = event;
  const result = costTime === undefined
    ? t("messages.event.try.open")
    : t("messages.event.try.ended", { result: returnType ?? (success === true ? "SUCCESS" : "FAILED"), time: t.duration(costTime) });
  return [who(event, t), " · ", result, reason(event.reason)];
}

function reason(text: string | undefined): ComponentChildren {
  return text !== undefined && text !== "" && <span class="event-reason">{text}</span>;
}
