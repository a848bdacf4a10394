import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { useTranslate } from "../context.ts";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** Open as long as it is rendered. The browser keeps the focus inside, closes at Escape and gives the focus back. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const t = useTranslate();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current!;
    element.showModal();
    return () => element.close();
  }, []);
  const onClick = (event: MouseEvent): void => {
    // Only the backdrop is the dialog itself: its content fills the rest.
    if (event.target === dialog.current) dialog.current?.close();
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onClick={onClick}>
      <div class="dialog">
        <div class="panel-head">
          <h2 id={id}>{title}</h2>
          <button type="button" class="button small" onClick={() => dialog.current?.close()}>{t("common.close")}</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
