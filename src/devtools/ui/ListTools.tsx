import { useDevtools, useTranslate } from "../context.ts";

interface ListToolsProps {
  /** Names of the query that switch more rows on, with their labels. */
  switches: readonly (readonly [name: string, label: string])[];
  /** How many rows there are, in words. */
  count: string;
}

/** What of a list is shown. It stands in the route: a link to the list shows the same. */
export function ListTools({ switches, count }: ListToolsProps) {
  const { router } = useDevtools();
  const t = useTranslate();
  const { query } = router.route.value;
  return (
    <div class="list-tools">
      <input
        type="search" aria-label={t("common.filter")} placeholder={t("common.filter")} value={query.filter ?? ""} autocomplete="off" spellcheck={false}
        onInput={(event) => router.refine({ filter: event.currentTarget.value })}
      />
      {switches.map(([name, label]) => (
        <label key={name} class="check">
          <input type="checkbox" checked={query[name] !== undefined} onChange={(event) => router.refine({ [name]: event.currentTarget.checked ? "1" : undefined })} />
          {label}
        </label>
      ))}
      <span class="quiet" role="status">{count}</span>
    </div>
  );
}
