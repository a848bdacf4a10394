import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface PanelProps {
  title: ComponentChildren;
  /** Small print above the title: the kind of thing whose name the title is. */
  eyebrow?: string;
  /** Beside the title, at the end of its line. */
  tools?: ComponentChildren;
  children?: ComponentChildren;
}

/** A box with a heading, which names it to screen readers too. */
export function Panel({ title, eyebrow, tools, children }: PanelProps) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="panel-head">
        <div class="panel-title">
          {eyebrow !== undefined && <p class="eyebrow">{eyebrow}</p>}
          <h2 id={id}>{title}</h2>
        </div>
        {tools !== undefined && <div class="tools">{tools}</div>}
      </div>
      {children}
    </section>
  );
}
