/** `tabmq/devtools`: importing it defines `<tabmq-devtools>`. */
import { TabmqDevtools } from "./element.tsx";

export { TabmqDevtools, type NavigateEvent } from "./element.tsx";

if (typeof customElements !== "undefined" && customElements.get("tabmq-devtools") === undefined) customElements.define("tabmq-devtools", TabmqDevtools);
