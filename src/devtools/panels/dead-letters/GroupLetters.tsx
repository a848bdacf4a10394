import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "../../context.ts";
import type { MessageSummary } from "../../message/summary.ts";
import { reasonOf, usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Answer, Empty, Progress } from "../../ui/Answer.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { EditLetter } from "./EditLetter.tsx";
import { LetterBox } from "./letter-box.ts";
import { LetterTable } from "./LetterTable.tsx";
import { Outcome, type OutcomeProps } from "./Outcome.tsx";

const EVERY = 2000;
const FIRST_SHOWN = 100;
const MOST_SHOWN = 1600;

type Deed = "resend" | "discard";

/** One group's dead letters: to be read, sent again, changed, thrown away. */
export function GroupLetters({ group }: { group: string }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const box = useRef(new LetterBox(group));
  const most = useSignal(FIRST_SHOWN);
  const answer = usePolled(() => box.current.read(session.mq.admin, most.value), EVERY, [group, most.value]);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const asked = useSignal<Deed | null>(null);
  const edited = useSignal<MessageSummary | null>(null);
  const outcome = useSignal<OutcomeProps | null>(null);
  const isBusy = useSignal(false);

  const letters = answer.value.value?.letters ?? [];
  // Of those that were chosen, some may be gone meanwhile.
  const ids = [...new Set(letters.map(({ msgId }) => msgId))].filter((msgId) => chosen.value.has(msgId));
  const isAll = ids.length === 0;
  const again = (): void => {
    box.current.forget();
    chosen.value = new Set();
    answer.refresh();
  };
  const act = async (deed: Deed): Promise<void> => {
    isBusy.value = true;
    outcome.value = null;
    try {
      const { admin } = session.mq;
      const which = { group, ...(!isAll && { msgIds: ids }) };
      if (deed === "resend") {
        const { resent, failed } = await admin.resendDeadLetters(which);
        outcome.value = { text: t("deadLetters.resent", { count: resent.length }), failed };
      } else {
        const { discarded, failed } = await admin.discardDeadLetters(which);
        outcome.value = { text: t("deadLetters.discardedNow", { count: discarded.length }), failed };
      }
    } finally {
      isBusy.value = false;
      again();
    }
  };
  const resendChosen = (): void => void act("resend").catch((error: unknown) => (outcome.value = { text: "", failed: [], problem: reasonOf(error) }));
  const confirmTitle = isAll ? t(`deadLetters.${asked.value ?? "resend"}All`) : t(`deadLetters.${asked.value ?? "resend"}Some`, { count: ids.length });
  return (
    <Panel
      eyebrow={t("deadLetters.of")} title={answer.value.value === null ? group : <Link to={pathTo("groups", [group])}>{group}</Link>}
      tools={<><Link class="button small" to={pathTo("dead-letters")}>{t("deadLetters.allGroups")}</Link><button type="button" class="button small" onClick={again}>{t("common.refresh")}</button></>}
    >
      {outcome.value !== null && <Outcome {...outcome.value} />}
      {isBusy.value && <Progress label={t("deadLetters.busy")} />}
      <Answer of={answer}>
        {(found) => found === null ? <Empty title={t("deadLetters.unknown")}>{t("deadLetters.unknown.hint")}</Empty>
          : letters.length === 0 ? <Empty title={t("deadLetters.noneHere")}>{found.discarded > 0 ? t("deadLetters.noneHere.discarded", { count: found.discarded }) : t("deadLetters.none.hint")}</Empty>
          : (
            <>
              <div class="letter-tools">
                <label class="check">
                  <input type="checkbox" checked={ids.length > 0} ref={(input) => { if (input !== null) input.indeterminate = ids.length > 0 && ids.length < letters.length; }} onChange={() => (chosen.value = new Set(isAll ? letters.map(({ msgId }) => msgId) : []))} />
                  {isAll ? t("deadLetters.chooseAll", { count: letters.length }) : t("deadLetters.chosen", { count: ids.length })}
                </label>
                <span class="buttons">
                  <button type="button" class="button small primary" disabled={isBusy.value} onClick={() => (isAll ? (asked.value = "resend") : resendChosen())}>{isAll ? t("deadLetters.resendAll") : t("deadLetters.resendSome", { count: ids.length })}</button>
                  <button type="button" class="button small danger" disabled={isBusy.value} onClick={() => (asked.value = "discard")}>{isAll ? t("deadLetters.discardAll") : t("deadLetters.discardSome", { count: ids.length })}</button>
                </span>
              </div>
              <LetterTable letters={letters} chosen={chosen.value} onChoose={(next) => (chosen.value = next)} onEdit={(letter) => (edited.value = letter)} />
              {found.hasMore && (
                <div class="letter-tools">
                  <span class="quiet" role="status">{t("deadLetters.shown", { count: letters.length })}</span>
                  {most.value < MOST_SHOWN && <button type="button" class="button small" onClick={() => (most.value *= 4)}>{t("deadLetters.more")}</button>}
                </div>
              )}
            </>
          )}
      </Answer>
      {asked.value !== null && (
        <Confirm title={confirmTitle} action={confirmTitle} done={t("deadLetters.done")} {...(isAll && asked.value === "discard" && { name: group })} act={() => act(asked.value!)} onClose={() => (asked.value = null)}>
          {t(asked.value === "discard" ? "deadLetters.discard.warning" : "deadLetters.resend.warning", { group })}
        </Confirm>
      )}
      {edited.value !== null && (
        <EditLetter
          box={box.current} letter={edited.value} onClose={() => (edited.value = null)}
          onDone={(result) => {
            outcome.value = result;
            edited.value = null;
            again();
          }}
        />
      )}
    </Panel>
  );
}
