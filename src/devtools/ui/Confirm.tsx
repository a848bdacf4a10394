import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useDevtools, useTranslate } from "../context.ts";
import { reasonOf } from "../polled.ts";
import { Dialog } from "./Dialog.tsx";
import { describedBy, Field } from "./Field.tsx";

interface ConfirmProps {
  title: string;
  /** What will be gone, or done. */
  children: ComponentChildren;
  /** The button's text: the deed, as a verb. */
  action: string;
  /** It has to be typed before something large can be deleted. */
  name?: string;
  /** Said when it is done. */
  done: string;
  act: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before a deed that cannot be undone; stays open, with the reason, when it fails. */
export function Confirm({ title, children, action, name, done, act, onClose }: ConfirmProps) {
  const { announce } = useDevtools();
  const t = useTranslate();
  const typed = useSignal("");
  const problem = useSignal("");
  const isBusy = useSignal(false);
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    isBusy.value = true;
    problem.value = "";
    try {
      await act();
      announce(done);
      onClose();
    } catch (error) {
      problem.value = reasonOf(error);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void onSubmit(event)}>
        <div>{children}</div>
        {name !== undefined && (
          <Field id="confirm-name" label={t("common.typeToConfirm", { name })}>
            <input id="confirm-name" autocomplete="off" autocapitalize="none" spellcheck={false} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} {...describedBy("confirm-name", undefined)} />
          </Field>
        )}
        {problem.value !== "" && <p class="error" role="alert">{problem.value}</p>}
        <div class="buttons">
          <button type="submit" class="button danger" disabled={isBusy.value || (name !== undefined && typed.value !== name)}>{action}</button>
          <button type="button" class="button" onClick={onClose}>{t("common.cancel")}</button>
        </div>
      </form>
    </Dialog>
  );
}
