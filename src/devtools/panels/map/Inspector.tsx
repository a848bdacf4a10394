import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { MessageExt } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { ownView, writeBody } from "../../message/body.ts";
import { reasonOf } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Link } from "../../ui/Link.tsx";
import type { Place } from "./LiveMap.tsx";

/** Characters, or bytes where it is written as hex. */
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
    const read = async (): Promise<void> => {
      const { queueDatas: [data] } = await session.mq.admin.topicRoute(topic);
      const { messages: [found] } = await (await session.reader()).pull({ topic, brokerName: data!.brokerName, queueId }, "*", offset, 1);
      if (found?.queueOffset === offset) message.value = found;
      else problem.value = t("map.message.gone");
    };
    read().catch((error: unknown) => (problem.value = reasonOf(error)));
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

/** Its beginning; all of it is in the panel of messages. */
function bodyText({ body, bodyKind }: MessageExt): string {
  const view = ownView(bodyKind);
  const written = writeBody(body, view);
  const most = view === "hex" ? MAX_HEX : MAX_SHOWN;
  return written.pieces(Math.min(written.length, most)).join(view === "hex" ? "\n" : "") + (written.length > most ? "…" : "");
}
