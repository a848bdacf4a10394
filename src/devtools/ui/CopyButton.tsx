import { useSignal } from "@preact/signals";
import { useDevtools, useTranslate } from "../context.ts";

interface CopyButtonProps {
  text: () => string;
  /** The button's text. */
  label: string;
  hint?: string;
  /** Said where the browser does not allow it. */
  refused?: string;
}

/** Puts a text into the clipboard, and tells how that went: to who looks, and to who listens. */
export function CopyButton({ text, label, hint, refused }: CopyButtonProps) {
  const { announce } = useDevtools();
  const t = useTranslate();
  const outcome = useSignal("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      outcome.value = t("common.copied");
    } catch {
      // No permission, or no clipboard at all.
      outcome.value = refused ?? t("common.notCopied");
    }
    announce(outcome.value);
  };
  return (
    <>
      {outcome.value !== "" && <span class="hint">{outcome.value}</span>}
      <button type="button" class="button small" title={hint} onClick={() => void copy()}>{label}</button>
    </>
  );
}
