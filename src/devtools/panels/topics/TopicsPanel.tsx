import { useDevtools } from "../../context.ts";
import { useStyles } from "../../styles.ts";
import { TopicList } from "./TopicList.tsx";
import { TopicPage } from "./TopicPage.tsx";
import css from "./topics.css?inline";

/** `/topics`: all of them; `/topics/NAME`: one. */
export default function TopicsPanel() {
  useStyles(css);
  const { router } = useDevtools();
  const [topic] = router.route.value.args;
  return topic === undefined ? <TopicList /> : <TopicPage key={topic} topic={topic} />;
}
