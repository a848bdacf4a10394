import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { type Message, type MessageExt, MQError, RESERVED_PROPERTIES } from "../../index.ts";
import { useTranslate } from "../context.ts";
import { reasonOf } from "../polled.ts";
import { useStyles } from "../styles.ts";
import { describedBy, Field, TextField } from "../ui/Field.tsx";
import { textOf } from "./body.ts";
import css from "./message.css?inline";

interface SendFormProps {
  /** What it begins with. */
  message: MessageExt;
  /** Where to; not always where the message stands. */
  topic: string;
  /** The button's text. */
  action: string;
  /** What will happen. */
  children: ComponentChildren;
  /** Sends it, and whatever else is to be done: the form waits for it, and says what is refused. */
  onSend: (message: Message) => Promise<void>;
  onCancel: () => void;
}

/** A text field with more is no pleasure, in any browser. */
const MOST_EDITED = 262_144;
const FIELDS: ReadonlySet<string> = new Set(["topic", "body", "tags", "keys"]);

/** A message like another one, to be sent as a new one: with the same body, or with one that was changed. */
export function SendForm({ message, topic: firstTopic, action, children, onSend, onCancel }: SendFormProps) {
  useStyles(css);
  const t = useTranslate();
  const topic = useSignal(firstTopic);
  const tags = useSignal(message.tags ?? "");
  const keys = useSignal(message.keys.join(" "));
  /** null = as it was: a text field writes line ends its own way. */
  const edited = useSignal<string | null>(null);
  const problem = useSignal<{ field: string; reason: string } | null>(null);
  const isBusy = useSignal(false);
  const text = message.bodyKind === "bytes" ? null : textOf(message.body);
  const isEditable = text !== null && text.isUtf8 && text.text.length <= MOST_EDITED;
  const properties = Object.entries(message.properties).filter(([name]) => !RESERVED_PROPERTIES.has(name));

  const send = async (): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      const { messageGroup, priority } = message;
      await onSend({
        topic: topic.value.trim(), body: bodyOf(message, edited.value, t("messages.body.notJson")), flag: message.flag, keys: keys.value,
        properties: Object.fromEntries(properties),
        ...(tags.value !== "" && { tags: tags.value }), ...(messageGroup !== undefined && { messageGroup }), ...(priority !== undefined && { priority }),
      });
    } catch (error) {
      const field = error instanceof MQError ? (error.field ?? "").replace(/^message\./, "") : "";
      problem.value = { field: FIELDS.has(field) ? field : "", reason: reasonOf(error) };
    } finally {
      isBusy.value = false;
    }
  };
  const errorOf = (field: string): string | undefined => (problem.value?.field === field ? problem.value.reason : undefined);
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    void send();
  };
  return (
    <form class="stack send-form" onSubmit={onSubmit}>
      <div class="quiet">{children}</div>
      <TextField id="send-topic" name="topic" label={t("messages.topic")} error={errorOf("topic")} value={topic.value} onInput={(event) => (topic.value = event.currentTarget.value)} />
      <div class="pair">
        <TextField id="send-tags" name="tags" label={t("messages.tag")} error={errorOf("tags")} value={tags.value} onInput={(event) => (tags.value = event.currentTarget.value)} />
        <TextField id="send-keys" name="keys" label={t("messages.keys")} error={errorOf("keys")} value={keys.value} onInput={(event) => (keys.value = event.currentTarget.value)} />
      </div>
      <Field id="send-body" label={t("messages.body")} aside={<span class="aside">{t("messages.body.facts", { size: t.bytes(message.body.byteLength), kind: t(`messages.kind.${message.bodyKind}`) })}</span>} error={errorOf("body")}>
        {isEditable
          ? <textarea id="send-body" spellcheck={false} value={edited.value ?? text.text} onInput={(event) => (edited.value = event.currentTarget.value)} {...describedBy("send-body", errorOf("body"))} />
          : <p class="outcome" id="send-body">{t(text?.isUtf8 === true ? "messages.send.tooLong" : "messages.send.bytes")}</p>}
      </Field>
      {properties.length > 0 && <p class="hint">{t("messages.send.properties", { count: properties.length })}</p>}
      {problem.value?.field === "" && <p class="error" role="alert">{problem.value.reason}</p>}
      <div class="buttons">
        <button type="submit" class="button primary" disabled={isBusy.value}>{action}</button>
        <button type="button" class="button" onClick={onCancel}>{t("common.cancel")}</button>
      </div>
    </form>
  );
}

/** As it was sent, of the same kind. */
function bodyOf(message: MessageExt, edited: string | null, notJson: string): Message["body"] {
  const own = textOf(message.body);
  if (message.bodyKind === "bytes" || !own.isUtf8) return message.body;
  const text = edited ?? own.text;
  if (message.bodyKind === "text") return text;
  try {
    return JSON.parse(text) as Message["body"];
  } catch (cause) {
    throw new MQError("MESSAGE_ILLEGAL", notJson, { field: "message.body", cause });
  }
}
