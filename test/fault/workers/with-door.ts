import { BroadcastPort } from "../../../src/platform/broadcast-port.ts";
import { serveWithout } from "./host.ts";

/** Nothing is taken out; the door is in. */
serveWithout({ openChannel: (name) => new BroadcastPort(name) });
