import type { Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import { Dialog } from "../../../devtools/ui/Dialog.tsx";

const SHORTCUTS = [
  ["/", "live.keyboard.topic"],
  ["Ctrl + Enter", "live.keyboard.send"],
  ["Enter", "live.keyboard.enter"],
  ["← →", "live.keyboard.arrows"],
  ["?", "live.keyboard.help"],
  ["Esc", "live.keyboard.escape"],
] as const;

interface FooterProps {
  innerRef: RefObject<HTMLElement | null>;
  isHelping: Signal<boolean>;
}

export function Footer({ innerRef, isHelping }: FooterProps) {
  const t = useTranslate();
  return (
    <footer class="footer" ref={innerRef}>
      <p>{t("live.stays")}</p>
      <button type="button" class="link" onClick={() => (isHelping.value = true)}>{t("live.keyboard.all")} <kbd aria-hidden="true">?</kbd></button>
      {isHelping.value && (
        <Dialog title={t("live.keyboard")} onClose={() => (isHelping.value = false)}>
          <dl class="shortcuts">
            {SHORTCUTS.map(([keys, what]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{t(what)}</dd></div>)}
          </dl>
        </Dialog>
      )}
    </footer>
  );
}

/** Keys that count wherever nobody is writing. `part`: something of the panel, whose root has the fields. */
export function useShortcuts(part: RefObject<HTMLElement | null>, help: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      const root = part.current?.getRootNode() as ShadowRoot | undefined;
      if (root === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      // Outside of the element's shadow, everything in it is the element.
      if (isWriting(event.composedPath()[0]) || root.querySelector("dialog[open]") !== null) return;
      if (event.key === "/") root.querySelector<HTMLInputElement>("#topic")?.select();
      else if (event.key === "?") help();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

/** A key that is text to somebody is no shortcut. */
function isWriting(target: EventTarget | undefined): boolean {
  if (target instanceof HTMLInputElement) return !["radio", "range", "checkbox"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
