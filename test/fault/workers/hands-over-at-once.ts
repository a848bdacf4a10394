import { Groups } from "../../../src/broker/groups.ts";
import { queueKey } from "../../../src/model/queue.ts";
import { serveWithout } from "./host.ts";

/** A queue goes to its new owner at once, not when the old one has let it go. */
// oxlint-disable-next-line typescript/unbound-method -- called with its `this` below
const { heard } = Groups.prototype;

Groups.prototype.heard = function (member, request) {
  const { owner, target } = member.group;
  for (const [key, next] of target) {
    if (owner.get(key) === next) continue;
    owner.set(key, next);
    next.changed();
  }
  const mine = ({ topic, queueId }: { topic: string; queueId: number }): boolean => owner.get(queueKey(topic, queueId)) === member;
  heard.call(this, member, { ...request, held: request.held.filter(mine), released: request.released.filter(mine) });
};

serveWithout({});
