import { computed, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import type { Witness } from "../../../devtools/panels/map/flows.ts";
import { LiveMap, type Place } from "../../../devtools/panels/map/LiveMap.tsx";
import { backlogOf, useLiveView } from "../../../devtools/panels/map/live-view.ts";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { useWorkshop } from "../../workshop.ts";
import { CreateTopic } from "./CreateTopic.tsx";
import { Hint, NobodyReads } from "./Hint.tsx";

/** What happens in this tab is shown this soon, ms; where it goes on happening, so often. */
const AFTER_ACTIVITY = 40;
const WHILE_ACTIVE = 200;

interface MapSectionProps {
  topic: string;
  group: string;
  onGroup: (group: string) => void;
  onInspect: (place: Place) => void;
}

/** The map, with what this page knows beyond the broker. It is drawn anew several times a second; the rest of the panel is not. */
export function MapSection({ topic, group, onGroup, onInspect }: MapSectionProps) {
  const workshop = useWorkshop();
  const t = useTranslate();
  const view = useLiveView(topic, group);
  useActivity(view.refresh);
  const topicView = view.topic.value.value;
  const backlog = topicView === undefined ? 0 : (backlogOf(topicView) ?? 0);
  useEffect(() => {
    workshop.looked.value = { topic, backlog };
    return () => void (workshop.looked.value = { topic, backlog: 0 });
  }, [topic, backlog]);
  const witness = useMemo(
    () => computed<Witness>(() => ({ sent: workshop.sender.sentTo.value.get(topic) ?? 0, failed: workshop.feed.failed.value })),
    [topic],
  );
  return (
    <Panel title={t("map.nav")} tools={topicView !== undefined && !topicView.isMissing && <Hint topic={topic} group={group} view={topicView} />}>
      <LiveMap
        topic={topic} group={group} view={view} witness={witness}
        missing={<CreateTopic key={topic} topic={topic} onCreated={view.refresh} />}
        hint={topicView !== undefined && <NobodyReads topic={topic} group={group} view={topicView} />}
        join={<OpenTab />}
        onGroup={onGroup} onInspect={onInspect}
      />
    </Panel>
  );
}

/** With `noopener`, as a user opens it: a process of its own, which shares nothing with this page but the broker. */
function OpenTab() {
  const t = useTranslate();
  const open = (): void => void window.open(globalThis.location.href, "_blank", "noopener");
  return (
    <button type="button" class="slot open-tab" title={t("live.openTab.hint")} onClick={open}>
      {t("live.openTab")} <span aria-hidden="true">↗</span>
    </button>
  );
}

/** What this tab sends and receives is seen at once, not with the next round. */
function useActivity(refresh: () => void): void {
  const workshop = useWorkshop();
  const current = useRef({ refresh, at: -Infinity, timer: undefined as ReturnType<typeof setTimeout> | undefined });
  current.current.refresh = refresh;
  useSignalEffect(() => {
    void [workshop.sender.sentTo.value, workshop.sender.outcome.value, workshop.feed.rows.value, workshop.consumers.list.value];
    const { at, timer } = current.current;
    if (timer !== undefined) return;
    const delay = Math.max(AFTER_ACTIVITY, at + WHILE_ACTIVE - performance.now());
    current.current.timer = setTimeout(() => {
      [current.current.timer, current.current.at] = [undefined, performance.now()];
      current.current.refresh();
    }, delay);
  });
}
