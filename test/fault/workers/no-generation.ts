import { Groups } from "../../../src/broker/groups.ts";
import type { Member } from "../../../src/broker/member.ts";
import { QueueReader } from "../../../src/broker/queue-reader.ts";
import { MAX_PULL_BATCH } from "../../../src/model/limits.ts";
import { queueKey } from "../../../src/model/queue.ts";
import { serveWithout } from "./host.ts";

/** Takes acknowledgements from members that the group has moved on without, and gives more than was asked for. */
// oxlint-disable typescript/unbound-method -- called with their `this` below
const { join, memberOf, heard } = Groups.prototype;
const { read } = QueueReader.prototype;
const ever = new Map<string, Member>();

Groups.prototype.join = function (session, request) {
  const member = join.call(this, session, request);
  ever.set(member.id, member);
  return member;
};
Groups.prototype.memberOf = function (session, memberId) {
  return ever.get(memberId) ?? memberOf.call(this, session, memberId);
};
Groups.prototype.heard = function (member, request) {
  const { owner } = member.group;
  const owners = new Map(owner);
  for (const { topic, queueId } of [...request.held, ...request.released]) owner.set(queueKey(topic, queueId), member);
  heard.call(this, member, request);
  for (const [key, value] of owners) owner.set(key, value);
};
QueueReader.prototype.read = function (queue, begin, filter, _want, share) {
  return read.call(this, queue, begin, filter, MAX_PULL_BATCH, share);
};

serveWithout({});
