import { useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { groupsWithLetters } from "../../topic-kind.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { LetterBox, type Letters } from "./letter-box.ts";

const EVERY = 3000;
/** Letters that are counted one by one. */
const MOST_COUNTED = 200;

interface Row extends Letters {
  readonly group: string;
}

/** Which groups have given up on messages, and on how many. */
export function LetterGroups() {
  const { session } = useDevtools();
  const t = useTranslate();
  const boxes = useRef(new Map<string, LetterBox>());
  const groups = usePolled(async () => {
    const rows: Row[] = [];
    for (const group of groupsWithLetters(await session.mq.admin.topics())) {
      const box = boxes.current.get(group) ?? new LetterBox(group);
      boxes.current.set(group, box);
      const read = await box.read(session.mq.admin, MOST_COUNTED);
      if (read !== null && read.letters.length > 0) rows.push({ group, ...read });
    }
    return rows;
  }, EVERY);
  return (
    <Panel title={t("deadLetters.nav")} tools={<button type="button" class="button small" onClick={groups.refresh}>{t("common.refresh")}</button>}>
      <Answer of={groups}>
        {(rows) => rows.length === 0 ? <Empty title={t("deadLetters.none")}>{t("deadLetters.none.hint")}</Empty> : (
          <DataTable<Row>
            label={t("deadLetters.nav")} rows={rows} keyOf={({ group }) => group}
            columns={[
              { id: "group", title: t("deadLetters.group"), width: "minmax(0, 2fr)", cell: ({ group }) => <Link to={pathTo("dead-letters", [group])} title={group}>{group}</Link> },
              { id: "count", title: t("deadLetters.count"), width: "130px", number: true, cell: ({ letters, hasMore }) => (hasMore ? t("deadLetters.moreThan", { count: letters.length }) : t.number(letters.length)) },
              { id: "oldest", title: t("deadLetters.oldest"), width: "170px", cell: ({ letters }) => t.time(letters[0]!.time) },
              { id: "discarded", title: t("deadLetters.discarded"), width: "120px", number: true, cell: ({ discarded }) => t.number(discarded) },
              { id: "reason", title: t("deadLetters.lastReason"), width: "minmax(0, 2fr)", cell: ({ letters }) => <span class="reason">{letters.at(-1)!.properties["DLQ_ERROR"] ?? "–"}</span> },
            ]}
          />
        )}
      </Answer>
    </Panel>
  );
}
