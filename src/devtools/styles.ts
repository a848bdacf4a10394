import { useLayoutEffect } from "preact/hooks";
import { useDevtools } from "./context.ts";

/** The style sheets of one shadow root. Constructed, because a strict Content-Security-Policy allows no `<style>`. */
export class Styles {
  readonly #root: ShadowRoot;
  readonly #known = new Set<string>();

  constructor(root: ShadowRoot) {
    this.#root = root;
  }

  add(css: string): void {
    if (this.#known.has(css)) return;
    this.#known.add(css);
    this.#root.adoptedStyleSheets.push(sheetOf(css));
  }
}

const sheets = new Map<string, CSSStyleSheet>();

function sheetOf(css: string): CSSStyleSheet {
  let sheet = sheets.get(css);
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    sheets.set(css, sheet);
  }
  return sheet;
}

/** A component's own styles, as text: `import css from "./x.css?inline"`. */
export function useStyles(css: string): void {
  const { styles } = useDevtools();
  useLayoutEffect(() => styles.add(css), []);
}
