import { useSignal } from "@preact/signals";
import type { SendResult } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { useSubmit } from "../../submit.ts";
import { BodyField, describedBy, Field, TextField, type WrittenKind } from "../../ui/Field.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { MESSAGE_FIELDS, messageOf, OWN_TIME } from "./message-form.ts";

/** One message to the topic, by this tab. What cannot be sent is explained at its field. */
export function SendMessage({ topic, onSent }: { topic: string; onSent: () => void }) {
  const { announce, session } = useDevtools();
  const t = useTranslate();
  const kind = useSignal<WrittenKind>("json");
  const when = useSignal("0");
  const sent = useSignal<{ result: SendResult; isDelayed: boolean } | null>(null);
  const { isBusy, problems, onSubmit } = useSubmit(MESSAGE_FIELDS, async (form) => {
    sent.value = null;
    const message = messageOf(form, topic, t);
    const result = await session.send(message);
    sent.value = { result, isDelayed: message.deliverAfter !== undefined || (message.delayTimeLevel ?? 0) > 0 };
    announce(t("topics.send.done"));
    onSent();
  });
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.currentTarget as HTMLFormElement).requestSubmit();
  };
  const wrong = problems.value;
  const levels = session.diagnostics.value?.settings.messageDelayLevel.trim().split(/ +/) ?? [];
  return (
    <Panel title={t("topics.send")}>
      <form class="stack" onSubmit={onSubmit} onKeyDown={onKey} noValidate>
        <BodyField
          id="send-body" label={t("topics.send.body")} error={wrong.body} rows={6} defaultValue={'{ "hello": "world" }'}
          kind={kind.value} legend={t("topics.send.kind")} text={t("topics.send.text")} onKind={(value) => (kind.value = value)}
        />
        <div class="pair">
          <TextField id="send-tags" name="tags" label={t("topics.send.tag")} error={wrong.tags} />
          <TextField id="send-keys" name="keys" label={t("topics.send.keys")} hint={t("topics.send.keys.hint")} error={wrong.keys} />
        </div>
        <Field id="send-properties" label={t("topics.send.properties")} hint={t("topics.send.properties.hint")} error={wrong.properties}>
          <textarea id="send-properties" name="properties" rows={2} spellcheck={false} {...describedBy("send-properties", wrong.properties, true)} />
        </Field>
        <div class="pair">
          <TextField id="send-group" name="messageGroup" label={t("topics.send.messageGroup")} hint={t("topics.send.messageGroup.hint")} error={wrong.messageGroup} />
          <Field id="send-priority" label={t("topics.send.priority")} hint={t("topics.send.priority.hint")} error={wrong.priority}>
            <input id="send-priority" name="priority" type="number" min="0" {...describedBy("send-priority", wrong.priority, true)} />
          </Field>
        </div>
        <div class="pair">
          <Field id="send-when" label={t("topics.send.when")} error={wrong.delayTimeLevel}>
            <select id="send-when" name="delayTimeLevel" onChange={(event) => (when.value = event.currentTarget.value)} {...describedBy("send-when", wrong.delayTimeLevel)}>
              <option value="0">{t("topics.send.now")}</option>
              <option value={OWN_TIME}>{t("topics.send.ownTime")}</option>
              {levels.map((level, at) => <option key={at} value={at + 1}>{t("topics.send.level", { level: at + 1, delay: level })}</option>)}
            </select>
          </Field>
          {when.value === OWN_TIME && (
            <Field id="send-after" label={t("topics.send.after")} error={wrong.deliverAfter}>
              <input id="send-after" name="deliverAfter" type="number" min="0" step="any" defaultValue="10" {...describedBy("send-after", wrong.deliverAfter)} />
            </Field>
          )}
        </div>
        {wrong[""] !== undefined && <p class="error" role="alert">{wrong[""]}</p>}
        <div class="buttons">
          <button type="submit" class="button primary" disabled={isBusy.value}>{t("topics.send")}</button>
        </div>
      </form>
      {sent.value !== null && <Sent {...sent.value} />}
    </Panel>
  );
}

function Sent({ result: { msgId, sendStatus, messageQueue, queueOffset }, isDelayed }: { result: SendResult; isDelayed: boolean }) {
  const t = useTranslate();
  return (
    <div class={sendStatus === "SEND_OK" ? "outcome good sent" : "outcome warn sent"}>
      <p><strong>{t("topics.send.done")}</strong> {sendStatus !== "SEND_OK" && <code>{sendStatus}</code>}</p>
      <p><Link to={pathTo("messages", [msgId])}><code data-result="msgId">{msgId}</code></Link></p>
      <p class="quiet">{isDelayed ? t("topics.send.waits") : t("topics.send.place", { queue: messageQueue.queueId, offset: queueOffset })}</p>
    </div>
  );
}
