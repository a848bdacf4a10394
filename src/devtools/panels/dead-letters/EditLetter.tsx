import { useEffect, useRef } from "preact/hooks";
import { type Message, MQError } from "../../../index.ts";
import { useAsked } from "../../asked.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { nullWhenAbsent } from "../../message/absent.ts";
import { SendForm } from "../../message/SendForm.tsx";
import type { MessageSummary } from "../../message/summary.ts";
import { pathTo } from "../../router.ts";
import { Answer } from "../../ui/Answer.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Link } from "../../ui/Link.tsx";
import type { LetterBox } from "./letter-box.ts";
import { originOf } from "./LetterTable.tsx";
import type { OutcomeProps } from "./Outcome.tsx";

interface EditLetterProps {
  box: LetterBox;
  letter: MessageSummary;
  onDone: (outcome: OutcomeProps) => void;
  onClose: () => void;
}

/**
 * Sends what the letter should have said, as a new message to its topic, and throws the letter away. Two tabs do not do so with one letter:
 * they take turns, and who comes second finds none. A tab that dies in between leaves the letter: rather twice than never.
 */
export function EditLetter({ box, letter, onDone, onClose }: EditLetterProps) {
  const { group } = box;
  const { session } = useDevtools();
  const t = useTranslate();
  const message = useAsked(() => session.mq.admin.viewMessage(letter.offsetMsgId).catch(nullWhenAbsent), [letter.offsetMsgId]);
  // Whoever closes the dialog while another tab has its turn does not send any more.
  const closing = useRef(new AbortController()).current;
  useEffect(() => () => closing.abort(), []);
  const inTurn = <T,>(work: () => Promise<T>): Promise<T> => navigator.locks.request(`tabmq-devtools/${session.namespace}/${letter.offsetMsgId}`, { signal: closing.signal }, work);
  const onSend = (draft: Message): Promise<void> => inTurn(async () => {
    if (!(await box.stillHas(session.mq.admin, letter))) throw new Error(t("deadLetters.edit.settled"));
    const { msgId } = await session.send(draft);
    const link = <Link to={pathTo("messages", [msgId])}><code>{msgId}</code></Link>;
    // From here on the message is sent: whatever happens to the letter, nobody should send it once more by mistake.
    const failed = await session.mq.admin.discardDeadLetters({ group, msgIds: [letter.msgId] }).then((result) => result.failed, (error: unknown) => [{ msgId: letter.msgId, error: error instanceof MQError ? error : new MQError("INTERNAL_ERROR", String(error)) }]);
    onDone({ text: t.rich(failed.length === 0 ? "deadLetters.edited" : "deadLetters.editedOnly", { topic: <strong>{draft.topic}</strong>, id: link }), failed });
  });
  return (
    <Dialog title={t("deadLetters.edit.title")} onClose={onClose}>
      <Answer of={message}>
        {(found) => found === null ? <p class="outcome bad">{t("deadLetters.edit.gone")}</p> : (
          <SendForm message={found} topic={originOf(letter)} action={t("deadLetters.edit.action")} onSend={onSend} onCancel={onClose}>{t("deadLetters.edit.warning", { group })}</SendForm>
        )}
      </Answer>
    </Dialog>
  );
}
