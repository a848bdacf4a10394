import type { Events } from "../platform/events.ts";
import { callable, oneOf } from "../protocol/validate.ts";

/** `on` of everything that has one: whoever misspells an event's name is told, instead of never hearing of it. */
export function listen<Map extends object, Name extends keyof Map & string>(
  events: Events<Map>,
  names: readonly (keyof Map & string)[],
  name: Name,
  listener: (event: Map[Name]) => void,
): () => void {
  return events.on(oneOf(...names)(name, "on.event") as Name, callable<typeof listener>(listener, "on.listener"));
}
