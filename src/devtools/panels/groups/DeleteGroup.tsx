import { useSignal } from "@preact/signals";
import type { ConsumerConnection, GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { TabName } from "../../ui/TabName.tsx";

interface DeleteGroupProps {
  info: GroupInfo;
  connections: readonly ConsumerConnection[];
  dead: number;
  lag: number;
  onClose: () => void;
}

/** Clients that are named; of more only how many. */
const NAMED = 8;

/** Says what goes with the group. With consumers in it the broker refuses, unless that is wanted too. */
export function DeleteGroup({ info: { group }, connections, dead, lag, onClose }: DeleteGroupProps) {
  const { router, session } = useDevtools();
  const t = useTranslate();
  const isForced = useSignal(false);
  return (
    <Confirm
      title={t("groups.delete.title")} action={t("groups.delete")} name={group} done={t("groups.deleted", { group })} onClose={onClose}
      act={async () => {
        await session.mq.admin.deleteGroup(group, { force: isForced.value });
        router.go(pathTo("groups"), { replace: true });
      }}
    >
      <p>{t("groups.delete.goes")}</p>
      <ul class="bullets">
        <li>{t("groups.delete.offsets", { count: lag })}</li>
        <li>{t("groups.delete.dead", { count: dead })}</li>
        <li>{t("groups.delete.rest")}</li>
      </ul>
      {connections.length > 0 && (
        <>
          <p class="warn">{t("groups.delete.members", { count: connections.length })}</p>
          <p class="clients">{connections.slice(0, NAMED).map(({ clientId }, at) => <TabName key={at} clientId={clientId} />)}{connections.length > NAMED && "…"}</p>
          <label class="check"><input type="checkbox" checked={isForced.value} onChange={(event) => (isForced.value = event.currentTarget.checked)} />{t("groups.delete.force")}</label>
        </>
      )}
    </Confirm>
  );
}
