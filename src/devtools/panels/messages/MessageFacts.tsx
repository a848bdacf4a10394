import type { MessageExt } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Facts } from "../../ui/Facts.tsx";
import { Link } from "../../ui/Link.tsx";

/** Everything that a record says of its message, its body excepted. */
export function MessageFacts({ message }: { message: MessageExt }) {
  const t = useTranslate();
  const { topic, tags, keys, messageGroup, priority, flag, reconsumeTimes, transactionId, properties } = message;
  const names = Object.keys(properties).sort();
  return (
    <div class="stack">
      <Facts
        facts={[
          [t("messages.topic"), <Link to={pathTo("topics", [topic])}>{topic}</Link>],
          [t("messages.queueOffset"), `${message.queueId}:${message.queueOffset}`],
          [t("messages.tag"), tags],
          [t("messages.keys"), keys.join(" ")],
          [t("messages.messageGroup"), messageGroup],
          [t("messages.priority"), priority],
          [t("messages.transactionId"), transactionId],
          [t("messages.born"), `${t.dateTime(message.bornTimestamp)} (${message.bornTimestamp})`],
          [t("messages.stored"), `${t.dateTime(message.storeTimestamp)} (${message.storeTimestamp})`],
          [t("messages.reconsumeTimes"), reconsumeTimes > 0 && t.number(reconsumeTimes)],
          [t("messages.flag"), flag !== 0 && String(flag)],
        ]}
      />
      <details>
        <summary>{t("messages.record")}</summary>
        <Facts
          facts={[
            [t("messages.offsetMsgId"), <code>{message.offsetMsgId}</code>],
            [t("messages.brokerName"), message.brokerName],
            [t("messages.commitLogOffset"), t.number(message.commitLogOffset)],
            [t("messages.storeSize"), t.bytes(message.storeSize)],
            [t("messages.bodyCRC"), `0x${(message.bodyCRC >>> 0).toString(16).padStart(8, "0")}`],
            [t("messages.sysFlag"), String(message.sysFlag)],
            [t("messages.bornHost"), message.bornHost],
            [t("messages.storeHost"), message.storeHost],
          ]}
        />
      </details>
      <h3>{t("messages.properties")}</h3>
      {names.length === 0 ? <p class="quiet">{t("messages.properties.none")}</p> : <Facts facts={names.map((name) => [name, <code>{properties[name]}</code>])} />}
    </div>
  );
}
