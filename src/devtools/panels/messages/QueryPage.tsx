import { useComputed } from "@preact/signals";
import { isSystemTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Empty } from "../../ui/Answer.tsx";
import { Ignored } from "../../ui/Ignored.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { QueryForm } from "./QueryForm.tsx";
import { Results } from "./Results.tsx";
import type { Query } from "./sources.ts";

const TOPICS_EVERY = 5000;
/** Topics that are offered where none has been chosen. */
const OFFERED = 24;

/** Asks for messages by topic, key and time; what is asked stands in the address. */
export function QueryPage() {
  const { session, router } = useDevtools();
  const t = useTranslate();
  const topics = usePolled(async () => (await session.mq.admin.topics()).map(({ topic }) => topic), TOPICS_EVERY);
  const query = useComputed(() => queryIn(router.route.value.query));
  const names = topics.value.value ?? [];
  const own = names.filter((name) => !isSystemTopic(name) && !name.startsWith("%"));
  const { topic } = query.value;
  const times = (["begin", "end"] as const).filter((name) => query.value[name] === undefined && (router.route.value.query[name] ?? "") !== "");
  return (
    <>
      <Ignored names={times} />
      <Panel title={t("messages.nav")}>
        <QueryForm key={JSON.stringify(query.value)} query={query.value} topics={names} />
      </Panel>
      {topic !== "" ? <Results query={query.value} /> : (
        <section class="panel">
          <Empty title={t("messages.none")}>{t(topics.value.value !== undefined && own.length === 0 ? "messages.none.noTopic" : "messages.none.hint")}</Empty>
          <ul class="offered">
            {own.slice(0, OFFERED).map((name) => <li key={name}><Link class="button small" to={pathTo("messages", [], { topic: name })} title={name}>{name}</Link></li>)}
          </ul>
        </section>
      )}
    </>
  );
}

/** An address is written by anybody: what is no time is none. */
function queryIn({ topic = "", key = "", begin = "", end = "" }: Readonly<Record<string, string>>): Query {
  const time = (text: string): number | undefined => (/^\d{1,15}$/.test(text) ? Number(text) : undefined);
  return { topic, key, begin: time(begin), end: time(end) };
}
