/** `tabmq/devtools`: importing it defines `<tabmq-devtools>`. */
import { TabmqDevtools } from "./element.tsx";
import type { TabmqDevtools as Public } from "./public.ts";

export { TabmqDevtools };

if (typeof customElements !== "undefined" && customElements.get("tabmq-devtools") === undefined) customElements.define("tabmq-devtools", TabmqDevtools satisfies typeof Public);
