import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useTranslate } from "./context.ts";
import type { PanelDefinition } from "./panel.ts";
import { pathTo } from "./router.ts";
import { Link } from "./ui/Link.tsx";

const SECTIONS = ["see", "operate", "look-after"] as const;

/** All panels. Where they lie in one line that is longer than the element is wide, it is seen on which side there are more. */
export function Menu({ panels, current }: { panels: readonly PanelDefinition[]; current: string }) {
  const t = useTranslate();
  const line = useRef<HTMLDivElement>(null);
  const more = useSignal("");
  useEffect(() => {
    const element = line.current!;
    const look = (): void => {
      const { scrollLeft, scrollWidth, clientWidth } = element;
      more.value = [...(scrollLeft > 1 ? ["start"] : []), ...(scrollLeft + clientWidth < scrollWidth - 1 ? ["end"] : [])].join(" ");
    };
    const observer = new ResizeObserver(look);
    for (const one of [element, ...element.children]) observer.observe(one);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  useEffect(() => {
    const element = line.current!;
    const link = element.querySelector("[aria-current]");
    if (link === null) return;
    // Not scrollIntoView, which would scroll the page around the element too.
    const [outer, inner] = [element.getBoundingClientRect(), link.getBoundingClientRect()];
    element.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }, [current]);
  return (
    <nav class="menu" aria-label={t("shell.panels")} data-more={more.value}>
      <div class="menu-line" ref={line}>
        {SECTIONS.map((section) => (
          <ul key={section}>
            {panels.filter((one) => one.section === section).map((one) => (
              <li key={one.id}><Link to={pathTo(one.id)} current={one.id === current}>{t(one.title)}</Link></li>
            ))}
          </ul>
        ))}
      </div>
    </nav>
  );
}
