import { useSignal } from "@preact/signals";
import type { MessageExt } from "../../../index.ts";
import { useAsked } from "../../asked.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { nullWhenAbsent } from "../../message/absent.ts";
import { BODY_VIEWS } from "../../message/body.ts";
import { BodyView } from "../../message/BodyView.tsx";
import { SendForm } from "../../message/SendForm.tsx";
import { pathTo } from "../../router.ts";
import { Answer } from "../../ui/Answer.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Ignored } from "../../ui/Ignored.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Life } from "./Life.tsx";
import { MessageFacts } from "./MessageFacts.tsx";
import { Missing } from "./Missing.tsx";
import { Tracks } from "./Tracks.tsx";

/** One message: what it says, and what became of it. */
export function MessagePage({ id }: { id: string }) {
  const { session } = useDevtools();
  const message = useAsked<MessageExt | null>(() => session.mq.admin.viewMessage(id).catch(nullWhenAbsent), [id]);
  return <Answer of={message}>{(found) => (found === null ? <Missing id={id} /> : <Found message={found} />)}</Answer>;
}

function Found({ message }: { message: MessageExt }) {
  const { router, session } = useDevtools();
  const t = useTranslate();
  const isSending = useSignal(false);
  const sent = useSignal<{ msgId: string; topic: string } | null>(null);
  const { body } = router.route.value.query;
  const view = BODY_VIEWS.find((one) => one === body);
  const tools = (
    <>
      <Link class="button small" to={pathTo("messages", [], { topic: message.topic })}>{t("messages.all")}</Link>
      <button type="button" class="button small primary" onClick={() => (isSending.value = true)}>{t("messages.send")}</button>
    </>
  );
  return (
    <>
      <Ignored names={view === undefined && body !== undefined ? ["body"] : []} />
      <Panel eyebrow={t("messages.one")} title={<code>{message.msgId}</code>} tools={tools}>
        {sent.value !== null && (
          <p class="outcome good" role="status">
            {t.rich("messages.send.done", { topic: <strong>{sent.value.topic}</strong>, id: <Link to={pathTo("messages", [sent.value.msgId])}><code>{sent.value.msgId}</code></Link> })}
          </p>
        )}
        <MessageFacts message={message} />
      </Panel>
      <Panel title={t("messages.body")}>
        <BodyView body={message.body} kind={message.bodyKind} name={message.msgId} view={view} onView={(name) => router.refine({ body: name })} />
      </Panel>
      <Life msgId={message.msgId} size={message.storeSize} />
      <Tracks msgId={message.msgId} size={message.storeSize} />
      {isSending.value && (
        <Dialog title={t("messages.send")} onClose={() => (isSending.value = false)}>
          <SendForm
            message={message} topic={topicOf(message)} action={t("messages.send.action")} onCancel={() => (isSending.value = false)}
            onSend={async (draft) => {
              const { msgId } = await session.send(draft);
              sent.value = { msgId, topic: draft.topic };
              isSending.value = false;
            }}
          >
            {t("messages.send.hint")}
          </SendForm>
        </Dialog>
      )}
    </>
  );
}

/** Where it was sent to: copies that wait, for a retry or as dead letters, say it in a property. */
function topicOf({ topic, properties }: MessageExt): string {
  return properties["RETRY_TOPIC"] ?? properties["REAL_TOPIC"] ?? topic;
}
