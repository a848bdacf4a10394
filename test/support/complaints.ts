import type { BrowserContext } from "playwright-core";

/** Tells whatever a console, a page or a dialog of this browser complains about. */
export function onComplaint(context: BrowserContext, tell: (text: string) => void): void {
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") tell(message.text());
  });
  context.on("weberror", (error) => tell(String(error.error())));
  context.on("dialog", (dialog) => {
    tell(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
}
