import { Groups } from "../../../src/broker/groups.ts";
import { serveWithout } from "./host.ts";

/** What a member has been given counts as consumed. */
// oxlint-disable-next-line typescript/unbound-method -- called with its `this` below
const { heard } = Groups.prototype;

Groups.prototype.heard = function (member, request) {
  const held = request.held.map((queue) => ({ ...queue, commitOffset: Math.max(queue.commitOffset, queue.nextOffset) }));
  heard.call(this, member, { ...request, held });
};

serveWithout({});
