import { useDevtools } from "../../context.ts";
import { messages } from "../../i18n/en/messages.ts";
import { useStyles } from "../../styles.ts";
import { MessagePage } from "./MessagePage.tsx";
import { QueryPage } from "./QueryPage.tsx";
import css from "./messages.css?inline";

export const texts = [messages];

/** `/messages?topic=&key=&begin=&end=`, and `/messages/ID`: one message, by its msgId or an offsetMsgId. */
export default function MessagesPanel() {
  useStyles(css);
  const { args: [id] } = useDevtools().router.route.value;
  return id === undefined ? <QueryPage /> : <MessagePage key={id} id={id} />;
}
