import { useDevtools } from "../../context.ts";
import { topics } from "../../i18n/en/topics.ts";
import { groups } from "../../i18n/en/groups.ts";
import { useStyles } from "../../styles.ts";
import { TopicList } from "./TopicList.tsx";
import { TopicPage } from "./TopicPage.tsx";
import css from "./topics.css?inline";

export const texts = [topics, groups];

/** `/topics`: all of them; `/topics/NAME`: one. */
export default function TopicsPanel() {
  useStyles(css);
  const { router } = useDevtools();
  const [topic] = router.route.value.args;
  return topic === undefined ? <TopicList /> : <TopicPage key={topic} topic={topic} />;
}
