import type { GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Confirm } from "../../ui/Confirm.tsx";

interface DeleteTopicProps {
  topic: string;
  messages: number;
  groups: readonly GroupInfo[];
  onClose: () => void;
}

/** Groups that are named; of more only how many. */
const NAMED = 5;

/** Says what goes with the topic before its name has to be typed. */
export function DeleteTopic({ topic, messages, groups, onClose }: DeleteTopicProps) {
  const { router, session } = useDevtools();
  const t = useTranslate();
  const working = groups.filter(({ consumers }) => consumers > 0);
  return (
    <Confirm
      title={t("topics.delete.title")} action={t("topics.delete")} name={topic} done={t("topics.deleted", { topic })} onClose={onClose}
      act={async () => {
        await session.mq.admin.deleteTopic(topic);
        router.go(pathTo("topics"), { replace: true });
      }}
    >
      <p>{t("topics.delete.goes")}</p>
      <ul class="bullets">
        <li>{t("common.messages", { count: messages })}</li>
        <li>{t("topics.delete.waiting")}</li>
        {groups.length > 0 && <li>{t("topics.delete.groups", { count: groups.length, names: groups.slice(0, NAMED).map(({ group }) => group).join(", ") + (groups.length > NAMED ? ", …" : "") })}</li>}
      </ul>
      {working.length > 0 && <p class="warn">{t("topics.delete.working", { count: working.reduce((sum, { consumers }) => sum + consumers, 0) })}</p>}
      <p class="hint">{t("topics.delete.stays")}</p>
    </Confirm>
  );
}
