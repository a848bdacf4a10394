import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { MQError, type ConsumerConnection, type ConsumeStats, type GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { deadLetterCount } from "./dead-letter-count.ts";
import { DeleteGroup } from "./DeleteGroup.tsx";
import { GroupForm } from "./GroupForm.tsx";
import { round } from "./GroupList.tsx";
import { GroupMembers } from "./GroupMembers.tsx";
import { GroupQueues } from "./GroupQueues.tsx";
import { LagChart } from "./LagChart.tsx";
import { ResetOffset } from "./ResetOffset.tsx";
import { useLagHistory } from "./lag-history.ts";

const ASK_EVERY = 2000;

interface GroupView {
  info: GroupInfo;
  stats: ConsumeStats;
  connections: ConsumerConnection[];
  dead: number;
}

export function GroupPage({ group }: { group: string }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const wasThere = useRef(false);
  // Null: there is no such group.
  const asked = usePolled(async (): Promise<GroupView | null> => {
    const { admin } = session.mq;
    try {
      const [groups, stats, { connections }, dead] = await Promise.all([admin.groups(), admin.consumeStats(group), admin.consumerConnections(group), deadLetterCount(admin, group)]);
      const info = groups.find((one) => one.group === group);
      if (info === undefined) return null;
      wasThere.current = true;
      return { info, stats, connections, dead };
    } catch (error) {
      if (error instanceof MQError && error.code === "INVALID_PARAMETER") return null;
      throw error;
    }
  }, ASK_EVERY, [group]);
  return (
    <Answer of={asked}>
      {(view) => view !== null ? <Group {...view} refresh={asked.refresh} /> : (
        <Panel title={group} eyebrow={t("groups.group")}>
          <Empty title={t(wasThere.current ? "groups.deletedMeanwhile" : "groups.unknown")}>
            {t("groups.unknown.hint")} <Link to={pathTo("groups")}>{t("groups.back")}</Link>
          </Empty>
        </Panel>
      )}
    </Answer>
  );
}

function Group({ info, stats, connections, dead, refresh }: GroupView & { refresh: () => void }) {
  const t = useTranslate();
  const { group, config, messageModel, allocateMessageQueueStrategy: strategy } = info;
  const dialog = useSignal<"change" | "reset" | "delete" | null>(null);
  const opened = useRef(info);
  const told = useSignal("");
  const history = useLagHistory(stats);
  const onClose = (): void => void (dialog.value = null);
  const open = (which: NonNullable<typeof dialog.value>): void => {
    // What was shown then: a dialog's fields do not change under somebody's hands.
    opened.current = info;
    told.value = "";
    dialog.value = which;
  };
  const inflight = stats.queues.reduce((sum, queue) => sum + queue.inflight, 0);
  return (
    <>
      <Panel
        title={group} eyebrow={t("groups.group")}
        tools={(
          <>
            <button type="button" class="button" onClick={() => open("reset")}>{t("groups.reset")}</button>
            <button type="button" class="button" onClick={() => open("change")}>{t("groups.change")}</button>
            <button type="button" class="button danger" onClick={() => open("delete")}>{t("groups.delete")}</button>
          </>
        )}
      >
        {told.value !== "" && <p class="outcome good">{told.value}</p>}
        <dl class="figures">
          <Figure name={t("groups.members")} id="members">{t.number(connections.length)}</Figure>
          <Figure name={t("groups.lag")} id="lag">{messageModel === "BROADCASTING" ? "–" : t.number(stats.diffTotal)}</Figure>
          <Figure name={t("groups.inflight")} id="inflight">{t.number(inflight)}</Figure>
          <Figure name={t("groups.tps")} id="tps">{t.number(round(stats.consumeTps))}</Figure>
          <div><dt>{t("groups.dead")}</dt><dd data-figure="dead">{dead === 0 ? t.number(0) : <Link to={pathTo("dead-letters", [group])}>{t.number(dead)}</Link>}</dd></div>
          <Figure name={t("groups.model")} id="model">{messageModel === undefined ? "–" : t(`groups.model.${messageModel}`)}</Figure>
          <Figure name={t("groups.strategy")} id="strategy">{strategy ?? "–"}</Figure>
          <Figure name={t("groups.retries")} id="retries">{config?.retryMaxTimes === undefined || config.retryMaxTimes === null ? t("groups.retries.consumers") : t("groups.retries.most", { count: config.retryMaxTimes })}</Figure>
        </dl>
        {config?.consumeEnable === false && <p class="outcome warn group-note">{t("groups.paused.hint")}</p>}
      </Panel>
      <GroupMembers info={info} connections={connections} stats={stats} />
      <GroupQueues stats={stats} isBroadcasting={messageModel === "BROADCASTING"} />
      {stats.queues.length > 0 && <LagChart group={group} history={history} every={ASK_EVERY} />}
      {dialog.value === "change" && <GroupForm info={opened.current} onClose={onClose} onDone={refresh} />}
      {dialog.value === "reset" && <ResetOffset info={opened.current} onClose={onClose} onDone={(text) => { told.value = text; refresh(); }} />}
      {dialog.value === "delete" && <DeleteGroup info={info} connections={connections} dead={dead} lag={stats.diffTotal} onClose={onClose} />}
    </>
  );
}

function Figure({ name, id, children }: { name: string; id: string; children: string }) {
  return <div><dt>{name}</dt><dd data-figure={id}>{children}</dd></div>;
}
