import type { NavigateEvent } from "../devtools/public.ts";
import { type EntitleEvent, TabmqPlayground } from "./element.tsx";
import { worksOffline } from "./offline.ts";

/**
 * The page's address: `?namespace=…&host=…` before the panels' own `#/panel/…`. A tab opened with the same address looks
 * at the same things.
 */
customElements.define("tabmq-playground", TabmqPlayground);

const query = new URLSearchParams(location.search);
const playground = new TabmqPlayground();

playground.setAttribute("namespace", query.get("namespace") ?? "default");
const host = query.get("host");
if (host === "memory" || host === "shared") playground.setAttribute("host", host);
follow();
playground.addEventListener("navigate", (event) => {
  const { path, replace } = (event as NavigateEvent).detail;
  if (replace) history.replaceState(null, "", `#${path}`);
  else history.pushState(null, "", `#${path}`);
});
playground.addEventListener("entitle", (event) => (document.title = (event as EntitleEvent).detail.title));
addEventListener("popstate", follow);
document.body.append(playground);
// Behind what the page needs itself.
addEventListener("load", () => void worksOffline());

function follow(): void {
  playground.setAttribute("path", location.hash.slice(1));
}
