import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { MessageExt } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Link } from "../../ui/Link.tsx";
import type { Place } from "./LiveMap.tsx";

const MAX_SHOWN = 20_000;
const MAX_HEX = 512;

/** One message, read where it stands and on nobody's account. */
export function Inspector({ place, onClose }: { place: Place; onClose: () => void }) {
  const t = useTranslate();
  return (
    <Dialog title={t("map.message", { queue: place.queueId, offset: place.offset })} onClose={onClose}>
      <Content key={`${place.topic}:${place.queueId}:${place.offset}`} place={place} />
    </Dialog>
  );
}

function Content({ place: { topic, queueId, offset } }: { place: Place }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const message = useSignal<MessageExt | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    const reader = session.mq.createPullConsumer({ consumerGroup: "tabmq-devtools-reader" });
    const read = async (): Promise<void> => {
      const { queueDatas: [data] } = await session.mq.admin.topicRoute(topic);
      const { messages: [found] } = await (await reader).pull({ topic, brokerName: data!.brokerName, queueId }, "*", offset, 1);
      if (found?.queueOffset === offset) message.value = found;
      else problem.value = t("map.message.gone");
    };
    read().catch((error: unknown) => (problem.value = reasonOf(error)));
    return () => void reader.then((one) => one.shutdown()).catch(() => undefined);
  }, []);
  if (problem.value !== "") return <p role="alert">{problem.value}</p>;
  if (message.value === null) return <p class="quiet">{t("map.message.reading")}</p>;
  return <Details message={message.value} />;
}

function Details({ message }: { message: MessageExt }) {
  const t = useTranslate();
  const { topic, msgId, offsetMsgId, tags, keys, messageGroup, properties, bornTimestamp, storeTimestamp, storeSize, commitLogOffset, bodyKind, body } = message;
  return (
    <div class="stack">
      <Facts
        facts={[
          [t("map.topic"), topic],
          ["msgId", <code key="id">{msgId}</code>],
          ["offsetMsgId", <code key="offset-id">{offsetMsgId}</code>],
          [t("map.message.tag"), tags ?? ""],
          [t("map.message.keys"), keys.join(", ")],
          [t("map.message.group"), messageGroup ?? ""],
          [t("map.message.properties"), Object.entries(properties).map(([name, value]) => `${name} = ${value}`).join("\n")],
          [t("map.message.sent"), t.time(bornTimestamp)],
          [t("map.message.stored"), t("map.message.storedAt", { time: t.time(storeTimestamp), bytes: storeSize, position: commitLogOffset })],
        ]}
      />
      <h3>{t("map.message.body")} <span class="aside">{bodyKind}, {t.bytes(body.byteLength)}</span></h3>
      <pre class="body" tabIndex={0} aria-label={t("map.message.body")}>{bodyText(message)}</pre>
      <p><Link to={pathTo("messages", [msgId])}>{t("map.message.life")}</Link></p>
    </div>
  );
}

function bodyText(message: MessageExt): string {
  const { body, bodyKind } = message;
  if (bodyKind === "bytes") {
    const hex = Array.from(body.subarray(0, MAX_HEX), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return body.byteLength > MAX_HEX ? `${hex} …` : hex;
  }
  const isShort = body.byteLength <= MAX_SHOWN;
  if (bodyKind === "json" && isShort) return JSON.stringify(message.json(), null, 2);
  const text = new TextDecoder().decode(body.subarray(0, MAX_SHOWN));
  return isShort ? text : `${text}…`;
}
