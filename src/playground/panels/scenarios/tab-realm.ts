import { connect } from "../../../index.ts";

/* The script of a tab on the stage, which is an iframe: a client with a world, locks and ports of its own. */

// Whoever is taken away by a crash is not told before: the library must not hear of it, as it would of a navigation.
addEventListener("pagehide", (event) => event.stopImmediatePropagation(), { capture: true });

frameElement?.dispatchEvent(new CustomEvent("realm", { detail: connect }));
