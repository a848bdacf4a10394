import type { ComponentChildren } from "preact";
import { retryTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Link } from "../../ui/Link.tsx";
import type { Surroundings } from "./surroundings.ts";
import type { TopicView } from "./topic-view.ts";

/** Where messages are that are in none of the topic's queues. */
export function Beside({ group, view, around }: { group: string; view: TopicView; around: Surroundings | undefined }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const timers = session.diagnostics.value?.broker.timers.pending ?? 0;
  return (
    <ul class="beside" aria-label={t("map.beside")}>
      <Box place="delayed" to={pathTo("timers")} name={t("map.delayed")} count={around === undefined ? undefined : around.delayed + timers}>{t("map.delayed.hint")}</Box>
      <Box place="retry" to={pathTo("topics", [retryTopic(group)])} name={t("map.retry")} count={view.retry.waiting}>
        {view.retry.put === 0 ? t("map.retry.hint") : t("map.retry.so-far", { count: view.retry.put })}
      </Box>
      <Box place="dead" to={pathTo("dead-letters", [group])} name={t("map.dead")} count={around?.dead}>{t("map.dead.hint")}</Box>
    </ul>
  );
}

function Box({ place, to, name, count, children }: { place: string; to: string; name: string; count: number | undefined; children: ComponentChildren }) {
  const t = useTranslate();
  return (
    <li class={`aside-box ${place}${count !== undefined && count > 0 ? " some" : ""}`} data-place={place}>
      <span class="dot" aria-hidden="true" />
      <Link to={to}>{name}</Link>
      <strong data-figure={place}>{count === undefined ? "–" : t.number(count)}</strong>
      <small>{children}</small>
    </li>
  );
}
