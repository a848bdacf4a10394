import { useTranslate } from "../../../devtools/context.ts";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { useWorkshop } from "../../workshop.ts";
import { ConsumerCard } from "./ConsumerCard.tsx";
import { ConsumerForm } from "./ConsumerForm.tsx";

interface ConsumersProps {
  topic: string;
  group: string;
  onGroup: (group: string) => void;
}

export function Consumers(props: ConsumersProps) {
  const { consumers } = useWorkshop();
  const t = useTranslate();
  const list = consumers.list.value;
  return (
    <Panel title={t("live.consumers")}>
      <div class="stack">
        {list.length === 0 && <p class="quiet">{t("live.consumers.none")}</p>}
        <ul class="cards">
          {list.map((consumer) => <li key={consumer.id}><ConsumerCard consumer={consumer} /></li>)}
        </ul>
        <details class="adder" open={list.length === 0 || consumers.startFailure.value !== null}>
          <summary>{t(list.length === 0 ? "live.consumers.first" : "live.consumers.another")}</summary>
          <ConsumerForm {...props} />
        </details>
      </div>
    </Panel>
  );
}
