import { useSignal } from "@preact/signals";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { useRowAnswers } from "../../row-answers.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { ListTools } from "../../ui/ListTools.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { RowAnswer } from "../../ui/RowAnswer.tsx";
import { SYSTEM_GROUP_PREFIX } from "../map/names.ts";
import { deadLetterCount } from "./dead-letter-count.ts";
import { GroupForm } from "./GroupForm.tsx";

const ASK_EVERY = 3000;

export function GroupList() {
  const { router, session } = useDevtools();
  const t = useTranslate();
  const isCreating = useSignal(false);
  const asked = usePolled(() => session.mq.admin.groups(), ASK_EVERY);
  const progress = useRowAnswers(async (group) => {
    const { admin } = session.mq;
    const [{ diffTotal, consumeTps }, dead] = await Promise.all([admin.consumeStats(group), deadLetterCount(admin, group)]);
    return { lag: diffTotal, tps: consumeTps, dead };
  });
  const { query } = router.route.value;
  const filter = (query.filter ?? "").trim().toLowerCase();
  return (
    <Panel title={t("groups.nav")} tools={<button type="button" class="button primary" onClick={() => (isCreating.value = true)}>{t("groups.create")}</button>}>
      <Answer of={asked}>
        {(groups) => {
          const open = groups.filter(({ group }) => query.system !== undefined || !group.startsWith(SYSTEM_GROUP_PREFIX));
          const rows = open.filter(({ group }) => group.toLowerCase().includes(filter));
          return (
            <>
              <ListTools count={t("groups.count", { count: rows.length })} switches={[["system", t("groups.show.system")]]} />
              {open.length === 0 ? <Empty title={t("groups.none")}>{t("groups.none.hint")}</Empty> : rows.length === 0 ? <Empty title={t("common.noMatch", { text: query.filter ?? "" })} /> : (
                <DataTable
                  label={t("groups.nav")} rows={rows} keyOf={({ group }) => group}
                  columns={[
                    {
                      id: "group", title: t("groups.group"), width: "minmax(0, 2.6fr)",
                      cell: ({ group, config }) => <><Link to={pathTo("groups", [group])} title={group}>{group}</Link>{config?.consumeEnable === false && <> <span class="tag warn">{t("groups.paused")}</span></>}</>,
                    },
                    { id: "model", title: t("groups.model"), width: "minmax(0, 1.1fr)", cell: ({ messageModel }) => (messageModel === undefined ? "–" : t(`groups.model.${messageModel}`)) },
                    { id: "strategy", title: t("groups.strategy"), width: "minmax(0, 1.2fr)", cell: ({ allocateMessageQueueStrategy }) => (allocateMessageQueueStrategy === undefined ? "–" : <code>{allocateMessageQueueStrategy}</code>) },
                    { id: "topics", title: t("groups.topics"), width: "minmax(0, 1.8fr)", cell: ({ topics }) => <span title={topics.join(", ")}>{topics.length === 0 ? "–" : topics.length === 1 ? topics[0] : t("groups.topics.more", { first: topics[0]!, count: topics.length - 1 })}</span> },
                    { id: "members", title: t("groups.members"), width: "minmax(0, 0.8fr)", number: true, cell: ({ consumers }) => t.number(consumers) },
                    // Members of a broadcasting group keep their offsets themselves: the broker knows of no backlog.
                    { id: "lag", title: t("groups.lag"), hint: t("groups.lag.hint"), number: true, cell: ({ group, messageModel }) => (messageModel === "BROADCASTING" ? "–" : <RowAnswer of={progress} name={group}>{({ lag }) => t.number(lag)}</RowAnswer>) },
                    { id: "tps", title: t("groups.tps"), hint: t("groups.tps.hint"), width: "minmax(0, 0.8fr)", number: true, cell: ({ group }) => <RowAnswer of={progress} name={group}>{({ tps }) => t.number(round(tps))}</RowAnswer> },
                    {
                      id: "dead", title: t("groups.dead"), hint: t("groups.dead.hint"), number: true,
                      cell: ({ group }) => <RowAnswer of={progress} name={group}>{({ dead }) => (dead === 0 ? t.number(0) : <Link to={pathTo("dead-letters", [group])}>{t.number(dead)}</Link>)}</RowAnswer>,
                    },
                  ]}
                />
              )}
              {isCreating.value && <GroupForm known={groups} onClose={() => (isCreating.value = false)} onDone={(group) => router.go(pathTo("groups", [group]))} />}
            </>
          );
        }}
      </Answer>
    </Panel>
  );
}

/** A rate of a few is told with one decimal. */
export function round(rate: number): number {
  return rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate);
}
