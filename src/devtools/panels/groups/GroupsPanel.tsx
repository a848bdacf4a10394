import { useDevtools } from "../../context.ts";
import { useStyles } from "../../styles.ts";
import css from "./groups.css?inline";
import { GroupList } from "./GroupList.tsx";
import { GroupPage } from "./GroupPage.tsx";

/** `/groups`: all of them; `/groups/NAME`: one. */
export default function GroupsPanel() {
  useStyles(css);
  const { router } = useDevtools();
  const [group] = router.route.value.args;
  return group === undefined ? <GroupList /> : <GroupPage key={group} group={group} />;
}
