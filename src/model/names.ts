import { MQError } from "./errors.ts";
import { MAX_CLIENT_ID_LENGTH, MAX_GROUP_LENGTH, MAX_NAMESPACE_LENGTH, MAX_RETRY_TOPIC_LENGTH, MAX_TOPIC_LENGTH } from "./limits.ts";

export const RETRY_TOPIC_PREFIX = "%RETRY%";
export const DLQ_TOPIC_PREFIX = "%DLQ%";

/** RocketMQ's MixAll.getRetryTopic: where the messages are that a group is to be given again. */
export function retryTopic(group: string): string {
  return `${RETRY_TOPIC_PREFIX}${group}`;
}

/** RocketMQ's MixAll.getDLQTopic: where the messages are that a group has given up on. */
export function deadLetterTopic(group: string): string {
  return `${DLQ_TOPIC_PREFIX}${group}`;
}

/** Java's Character.isWhitespace, which leaves no-break spaces out. */
// oxlint-disable-next-line no-control-regex -- Java has four separators there
const BLANK = /^[\t-\r\u001c-\u001f \u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]*$/;
/** Characters of a name that are checked; more than any may have. */
const LOOKED_AT = 4096;
const NAME = /^[%|a-zA-Z0-9_-]+$/;
const NAMESPACE = /^[A-Za-z0-9_-]+$/;
const CLIENT_ID = /^[%|a-zA-Z0-9_@.:-]+$/;

const DEFAULT_GROUPS: ReadonlySet<string> = new Set(["DEFAULT_PRODUCER", "DEFAULT_CONSUMER"]);

interface Rule {
  what: string;
  pattern: RegExp;
  characters: string;
  maxLength: number;
}

const TOPIC_RULE: Rule = { what: "topic", pattern: NAME, characters: "letters, digits and % | _ -", maxLength: MAX_TOPIC_LENGTH };
const RETRY_TOPIC_RULE: Rule = { ...TOPIC_RULE, maxLength: MAX_RETRY_TOPIC_LENGTH };
const GROUP_RULE: Rule = { ...TOPIC_RULE, what: "group", maxLength: MAX_GROUP_LENGTH };
const NAMESPACE_RULE: Rule = { what: "namespace", pattern: NAMESPACE, characters: "letters, digits, _ and -", maxLength: MAX_NAMESPACE_LENGTH };
const CLIENT_ID_RULE: Rule = { what: "client id", pattern: CLIENT_ID, characters: "letters, digits and % | _ - @ . :", maxLength: MAX_CLIENT_ID_LENGTH };

/** The name as it may stand in an error message: quoted, control characters escaped, at most 40 characters. */
function shown(name: string): string {
  return JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name);
}

function check(name: unknown, field: string, rule: Rule): asserts name is string {
  if (typeof name !== "string") {
    const given = name === null ? "null" : typeof name;
    throw new MQError("INVALID_PARAMETER", `${field}: a ${rule.what} must be a string, not ${given}.`, { field });
  }
  // A name may be megabytes long; nobody wants to know more of it than this.
  const beginning = name.slice(0, LOOKED_AT);
  if (BLANK.test(beginning)) throw new MQError("INVALID_PARAMETER", `${field}: a ${rule.what} must not be blank.`, { field });
  if (!rule.pattern.test(beginning)) {
    throw new MQError("INVALID_PARAMETER", `${field}: the ${rule.what} ${shown(name)} may only contain ${rule.characters}.`, { field });
  }
  if (name.length > rule.maxLength) {
    const message = `${field}: the ${rule.what} ${shown(name)} has ${name.length} characters; ${rule.maxLength} are allowed.`;
    throw new MQError("INVALID_PARAMETER", message, { field });
  }
}

/**
 * The broker's rule for topics: `[%|a-zA-Z0-9_-]`, 1..127 characters, retry and dead-letter topics up to 255.
 * @throws MQError INVALID_PARAMETER with `field`
 */
export function checkTopic(name: unknown, field = "topic"): asserts name is string {
  const forGroup = typeof name === "string" && (name.startsWith(RETRY_TOPIC_PREFIX) || name.startsWith(DLQ_TOPIC_PREFIX));
  check(name, field, forGroup ? RETRY_TOPIC_RULE : TOPIC_RULE);
}

/**
 * The client's rule for topics: as `checkTopic`, but 127 characters for every topic.
 * @throws MQError INVALID_PARAMETER with `field`
 */
export function checkClientTopic(name: unknown, field = "topic"): asserts name is string {
  check(name, field, TOPIC_RULE);
}

/**
 * The rule for producer and consumer groups: `[%|a-zA-Z0-9_-]`, 1..120 characters, not one of RocketMQ's two default groups.
 * @throws MQError INVALID_PARAMETER with `field`
 */
export function checkGroup(name: unknown, field = "group"): asserts name is string {
  check(name, field, GROUP_RULE);
  if (DEFAULT_GROUPS.has(name)) {
    throw new MQError("INVALID_PARAMETER", `${field}: the group ${name} is reserved as RocketMQ's default; choose a name of your own.`, { field });
  }
}

/** `[A-Za-z0-9_-]`, 1..64 characters. @throws MQError INVALID_PARAMETER with `field` */
export function checkNamespace(name: unknown, field = "namespace"): asserts name is string {
  check(name, field, NAMESPACE_RULE);
}

/** `[%|a-zA-Z0-9_@.:-]`, 1..128 characters. @throws MQError INVALID_PARAMETER with `field` */
export function checkClientId(name: unknown, field = "clientId"): asserts name is string {
  check(name, field, CLIENT_ID_RULE);
}
