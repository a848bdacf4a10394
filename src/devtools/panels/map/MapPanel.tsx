import { useSignal } from "@preact/signals";
import { checkGroup, checkTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { map } from "../../i18n/en/map.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { topicKind } from "../../topic-kind.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Select } from "../../ui/Select.tsx";
import { Inspector } from "./Inspector.tsx";
import { LiveMap, type Place } from "./LiveMap.tsx";
import { useLiveView } from "./live-view.ts";
import { defaultGroup, reasonAgainst } from "./names.ts";

export const texts = [map];

const TOPICS_EVERY = 3000;

/** Which topic is looked at, through which group's eyes: `/map/orders?group=billing`. */
export default function MapPanel() {
  const { session, router } = useDevtools();
  const t = useTranslate();
  const { args: [wanted], query } = router.route.value;
  const known = usePolled(async () => {
    const [topics, groups] = await Promise.all([session.mq.admin.topics(), session.mq.admin.groups()]);
    return { names: topics.map(({ topic }) => topic).filter((topic) => topicKind(topic) === "own"), groups };
  }, TOPICS_EVERY);
  return (
    <Answer of={known}>
      {({ names, groups }) => {
        const topic = wanted ?? names[0];
        if (topic === undefined) return <Panel title={t("map.nav")}><Empty title={t("map.empty")}>{t("map.empty.hint")}</Empty></Panel>;
        const group = query.group ?? groups.find((one) => one.topics.includes(topic))?.group ?? defaultGroup(topic);
        const options = [...new Set([topic, ...names])].sort().map((name) => [name, name] as const);
        const illegal = reasonAgainst(topic, checkTopic) ?? reasonAgainst(group, checkGroup);
        return (
          <Panel
            eyebrow={t("map.nav")} title={topic}
            tools={<Select label={t("map.topic")} value={topic} options={options} onChoose={(name) => router.go(pathTo("map", [name]))} />}
          >
            {illegal === undefined ? <Content key={topic} topic={topic} group={group} /> : <Empty title={illegal}>{t("map.illegal.hint")}</Empty>}
          </Panel>
        );
      }}
    </Answer>
  );
}

function Content({ topic, group }: { topic: string; group: string }) {
  const { router } = useDevtools();
  const t = useTranslate();
  const view = useLiveView(topic, group);
  const inspected = useSignal<Place | null>(null);
  return (
    <>
      <LiveMap
        topic={topic} group={group} view={view}
        missing={<Empty title={t("map.missing")}>{t("map.missing.hint")}</Empty>}
        onGroup={(name) => router.go(pathTo("map", [topic], { group: name }), { replace: true })}
        onInspect={(place) => (inspected.value = place)}
      />
      {inspected.value !== null && <Inspector place={inspected.value} onClose={() => (inspected.value = null)} />}
    </>
  );
}
