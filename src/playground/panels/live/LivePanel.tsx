import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { checkGroup, checkTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { live } from "../../../devtools/i18n/en/live.ts";
import { map } from "../../../devtools/i18n/en/map.ts";
import { Inspector } from "../../../devtools/panels/map/Inspector.tsx";
import type { Place } from "../../../devtools/panels/map/LiveMap.tsx";
import { defaultGroup, reasonAgainst } from "../../../devtools/panels/map/names.ts";
import { pathTo } from "../../../devtools/router.ts";
import { useStyles } from "../../../devtools/styles.ts";
import { DEFAULT_TOPIC, useWorkshop } from "../../workshop.ts";
import { Compose } from "./Compose.tsx";
import { Consumers } from "./Consumers.tsx";
import { Feed } from "./Feed.tsx";
import css from "./live.css?inline";
import { MapSection } from "./MapSection.tsx";
import { Footer, useShortcuts } from "./Shortcuts.tsx";

export const texts = [live, map];

/** The page's first panel: a broker at work, and what one can do to it. `/live/orders?group=workers` */
export default function LivePanel() {
  useStyles(css);
  const { router } = useDevtools();
  const t = useTranslate();
  const workshop = useWorkshop();
  const end = useRef<HTMLElement>(null);
  const { args, query } = router.route.value;
  const wrong = { topic: reasonAgainst(args[0], checkTopic), group: reasonAgainst(query.group, checkGroup) };
  const illegal = wrong.topic ?? wrong.group;
  const topic = (wrong.topic === undefined && args[0]) || DEFAULT_TOPIC;
  const group = (wrong.group === undefined && query.group) || defaultGroup(topic);
  const inspected = useSignal<Place | null>(null);
  const isHelping = useSignal(false);
  const select = (name: string): void => {
    if (name !== topic || illegal !== undefined) router.go(placeOf(name, defaultGroup(name)));
  };
  const choose = (name: string): void => router.go(placeOf(topic, name), { replace: true });

  useEffect(() => {
    // A second tab with this address looks at the same things. An illegal one stays as it is, for whoever wrote it.
    if (illegal === undefined && (args[0] !== topic || query.group !== group)) router.go(placeOf(topic, group), { replace: true });
  }, [topic, group, illegal]);
  useEffect(() => workshop.begin(topic, group), []);
  useShortcuts(end, () => (isHelping.value = true));

  const inspect = (place: Place): void => void (inspected.value = place);
  return (
    <>
      {illegal !== undefined && <p class="outcome warn" role="alert">{t("live.illegal", { reason: illegal, topic, group })}</p>}
      <Compose topic={topic} onTopic={select} onInspect={inspect} />
      <MapSection topic={topic} group={group} onGroup={choose} onInspect={inspect} />
      <div class="live-columns">
        <Consumers topic={topic} group={group} onGroup={choose} />
        <Feed topic={topic} onInspect={inspect} />
      </div>
      <Footer innerRef={end} isHelping={isHelping} />
      {inspected.value !== null && <Inspector place={inspected.value} onClose={() => (inspected.value = null)} />}
    </>
  );
}

function placeOf(topic: string, group: string): string {
  return pathTo("live", [topic], { group });
}
