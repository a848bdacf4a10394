import { render } from "preact";
import { worksOffline } from "../offline.ts";
import { OrderPad } from "./order-pad.ts";
import { Page } from "./Page.tsx";
import { Server } from "./server.ts";
import { textsOf } from "./texts.ts";

/** An offline-first application, whole: its data, its outbox, its page. What it calls its server is `server.ts`, also in this page. */
const texts = textsOf(new URLSearchParams(location.search).get("lang") ?? navigator.language);
document.documentElement.lang = texts.language;
document.title = texts.title;

const server = await Server.open();
server.answerFetch();
const pad = new OrderPad();
render(<Page pad={pad} server={server} texts={texts} />, document.body);
await pad.open();
addEventListener("load", () => void worksOffline());
if (document.readyState === "complete") void worksOffline();
