import { PANELS } from "../devtools/panels.ts";
import { type Furniture, TabmqDevtools } from "../devtools/element.tsx";
import type { Devtools } from "../devtools/context.ts";
import type { PanelDefinition } from "../devtools/panel.ts";
import { Workshop, WorkshopContext } from "./workshop.ts";

/** `detail.title`: what the page is to be called now. */
export type EntitleEvent = CustomEvent<{ title: string }>;

/** The element with what makes sense in a namespace of one's own only: things to try, and to measure. */
export class TabmqPlayground extends TabmqDevtools {
  protected override get panels(): readonly PanelDefinition[] {
    return PLAYGROUND_PANELS;
  }

  /** The page is nothing but this element: what it could not load another build may have. */
  protected override restart(): void {
    location.reload();
  }

  protected override furnish(devtools: Devtools): Furniture {
    const workshop = new Workshop(devtools, PLAYGROUND_PANELS, (title) => this.dispatchEvent(new CustomEvent("entitle", { detail: { title } })));
    return {
      provide: (shell) => <WorkshopContext.Provider value={workshop}>{shell}</WorkshopContext.Provider>,
      stop: () => workshop.stop(),
    };
  }
}

const PLAYGROUND_PANELS: readonly PanelDefinition[] = [
  { id: "live", title: "map.nav", section: "see", load: () => import("./panels/live/LivePanel.tsx") },
  { id: "scenarios", title: "scenarios.nav", section: "see", load: () => import("./panels/scenarios/ScenariosPanel.tsx") },
  ...PANELS.filter(({ id }) => id !== "map"),
  { id: "bench", title: "bench.nav", section: "look-after", load: () => import("./panels/bench/BenchPanel.tsx") },
];
