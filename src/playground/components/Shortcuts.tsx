import { showsShortcuts } from "../state.ts";
import { Dialog } from "./Dialog.tsx";

const SHORTCUTS = [
  ["/", "Go to the topic"],
  ["Ctrl + Enter", "Send, from anywhere in the form (⌘ + Enter on a Mac)"],
  ["Enter", "In the topic: look at it. In other single-line fields: send"],
  ["← →", "Along a queue's messages; Home and End for the first and last shown. Enter opens one"],
  ["?", "These shortcuts"],
  ["Esc", "Close a dialog"],
] as const;

export function Shortcuts() {
  if (!showsShortcuts.value) return null;
  return (
    <Dialog title="Keyboard" onClose={() => (showsShortcuts.value = false)}>
      <dl class="shortcuts">
        {SHORTCUTS.map(([keys, what]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div>)}
      </dl>
    </Dialog>
  );
}

export function Footer() {
  return (
    <footer class="footer">
      <p>Everything stays in this browser: there is no server behind this page.</p>
      <button type="button" class="link" onClick={() => (showsShortcuts.value = true)}>Keyboard shortcuts <kbd aria-hidden="true">?</kbd></button>
    </footer>
  );
}
