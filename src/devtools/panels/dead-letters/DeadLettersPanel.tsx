import { useDevtools } from "../../context.ts";
import { deadLetters } from "../../i18n/en/dead-letters.ts";
import { messages } from "../../i18n/en/messages.ts";
import messageCss from "../../message/message.css?inline";
import { useStyles } from "../../styles.ts";
import css from "./dead-letters.css?inline";
import { GroupLetters } from "./GroupLetters.tsx";
import { LetterGroups } from "./LetterGroups.tsx";

export const texts = [deadLetters, messages];

/** `/dead-letters`: groups that have some; `/dead-letters/GROUP`: those of one. */
export default function DeadLettersPanel() {
  useStyles(messageCss);
  useStyles(css);
  const { args: [group] } = useDevtools().router.route.value;
  return group === undefined ? <LetterGroups /> : <GroupLetters key={group} group={group} />;
}
