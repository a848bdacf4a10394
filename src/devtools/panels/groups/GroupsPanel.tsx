import { useDevtools } from "../../context.ts";
import { groups } from "../../i18n/en/groups.ts";
import { topics } from "../../i18n/en/topics.ts";
import { useStyles } from "../../styles.ts";
import css from "./groups.css?inline";
import { GroupList } from "./GroupList.tsx";
import { GroupPage } from "./GroupPage.tsx";

export const texts = [groups, topics];

/** `/groups`: all of them; `/groups/NAME`: one. */
export default function GroupsPanel() {
  useStyles(css);
  const { router } = useDevtools();
  const [group] = router.route.value.args;
  return group === undefined ? <GroupList /> : <GroupPage key={group} group={group} />;
}
