import type { ComponentChildren } from "preact";

/** Names and values, one pair a line; pairs without a value are left out. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== "" && value !== undefined && value !== null && value !== false).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}
