import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { ownersOf } from "../../../devtools/panels/map/live-view.ts";
import type { TopicView } from "../../../devtools/panels/map/topic-view.ts";
import { useWorkshop } from "../../workshop.ts";

interface HintProps {
  topic: string;
  group: string;
  view: TopicView;
}

/** One sentence about what can be seen, or should be done next. */
export function Hint({ topic, group, view }: HintProps) {
  const { session } = useDevtools();
  const { consumers } = useWorkshop();
  const t = useTranslate();
  const owners = ownersOf(view);
  const text = (): string => {
    if (owners.length > 1) return t("live.together", { count: owners.length });
    if (owners.length === 1) return owners[0] === session.client.value?.clientId ? t("live.alone", { count: view.lanes.length }) : "";
    return consumers.list.value.some((one) => one.topic === topic && one.group === group) ? t("live.sharing") : "";
  };
  return <p class="quiet">{text()}</p>;
}

/** What to do where messages would wait for ever. */
export function NobodyReads({ topic, group, view }: HintProps) {
  const { consumers } = useWorkshop();
  const t = useTranslate();
  if (ownersOf(view).length > 0 || consumers.list.value.some((one) => one.topic === topic && one.group === group)) return null;
  const start = (): void => void consumers.start({ topic, group, expression: "*", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  return (
    <div class="notice">
      <p>{t.rich("live.nobody", { group: <strong>{group}</strong> })}</p>
      <button type="button" class="button" onClick={start}>{t("live.nobody.start")}</button>
    </div>
  );
}
