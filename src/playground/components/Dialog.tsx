import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** Open as long as it is rendered. The browser keeps the focus inside, closes at Escape and gives the focus back. */
export function Dialog({ title, onClose, children }: DialogProps) {
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
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={onClose} onClick={onClick}>
      <div class="dialog">
        <div class="panel-head">
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="button small" onClick={() => dialog.current?.close()}>Close</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
