import type { ComponentChildren } from "preact";
import { useDevtools } from "../context.ts";

interface LinkProps {
  /** A path of the element: `pathTo("topics", ["orders"])`. */
  to: string;
  class?: string;
  current?: boolean;
  title?: string;
  children: ComponentChildren;
}

/** A way to another panel. It has an address, so that it can be opened in a new tab; a plain click stays in the element. */
export function Link({ to, class: name, current, title, children }: LinkProps) {
  const { router } = useDevtools();
  const onClick = (event: MouseEvent): void => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.go(to);
  };
  return <a class={name} href={`#${to}`} title={title} aria-current={current === true ? "page" : undefined} onClick={onClick}>{children}</a>;
}
