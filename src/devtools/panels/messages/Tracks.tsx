import type { MessageTrack, TrackType } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { nullWhenAbsent } from "../../message/absent.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { everyFor } from "./Life.tsx";

const TONES: Record<TrackType, string> = {
  CONSUMED: "tag good", NOT_CONSUMED_YET: "tag", FILTERED: "tag", NOT_ONLINE: "tag warn", IN_RETRY: "tag warn", DEAD: "tag bad", DISCARDED: "tag bad",
};

/** What has become of a message, for each group that has been at its topic. */
export function Tracks({ msgId, size }: { msgId: string; size: number }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const tracks = usePolled(() => session.mq.admin.messageTrack(msgId).catch(nullWhenAbsent), everyFor(size), [msgId]);
  return (
    <Panel title={t("messages.tracks")}>
      <Answer of={tracks}>
        {(rows) => rows === null ? <Empty title={t("messages.tracks.absent")}>{t("messages.tracks.absent.hint")}</Empty> : rows.length === 0 ? <Empty title={t("messages.tracks.none")}>{t("messages.tracks.none.hint")}</Empty> : (
          <DataTable<MessageTrack>
            label={t("messages.tracks")} rows={rows} keyOf={({ group }) => group}
            columns={[
              { id: "group", title: t("messages.group"), cell: ({ group }) => <Link to={pathTo("groups", [group])} title={group}>{group}</Link> },
              { id: "state", title: t("messages.track"), width: "180px", cell: ({ trackType }) => <span class={TONES[trackType]}>{t(`messages.track.${trackType}`)}</span> },
              {
                id: "meaning", title: t("messages.track.meaning"), width: "minmax(0, 2fr)",
                cell: ({ group, trackType }) => (trackType === "DEAD" ? <Link class="wrap" to={pathTo("dead-letters", [group])}>{t("messages.track.DEAD.hint")}</Link> : <span class="wrap">{t(`messages.track.${trackType}.hint`)}</span>),
              },
            ]}
          />
        )}
      </Answer>
    </Panel>
  );
}
