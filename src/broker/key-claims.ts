import { MQError } from "../model/errors.ts";
import { MAX_FINISHED_KEYS, MAX_KEYS_IN_HAND } from "../model/limits.ts";
import type { KeyReport, KeyState } from "../protocol/api.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { FinishedKeys } from "./finished-keys.ts";
import type { Member } from "./member.ts";

/**
 * Who of a group of idempotent consumers works on which key. Claims are not stored: they end when the key is finished
 * or given back, and with the member, as the next broker knows no member either.
 */
export class KeyClaims {
  readonly #finished: FinishedKeys;
  readonly #state: DurableState;
  readonly #inHand = new WeakMap<ConsumerGroup, Map<string, Member>>();
  /** Groups that know already that keys are forgotten before their time. */
  readonly #warned = new WeakSet<ConsumerGroup>();

  constructor(finished: FinishedKeys, state: DurableState) {
    this.#finished = finished;
    this.#state = state;
  }

  claim(member: Member, keys: readonly string[]): KeyState[] {
    const { group, terms } = member;
    if (terms.idempotenceWindow === 0) throw new MQError("INVALID_PARAMETER", "This consumer is not idempotent.", { field: "memberId" });
    const claims = this.#claims(group);
    if (claims.size + keys.length > MAX_KEYS_IN_HAND) {
      for (const [key, holder] of claims) if (!isThere(holder)) claims.delete(key);
      if (claims.size + keys.length > MAX_KEYS_IN_HAND) throw new MQError("FLOW_CONTROL", `Group "${group.name}" has ${MAX_KEYS_IN_HAND} keys in hand.`);
    }
    return keys.map((key) => {
      if (this.#finished.has(group.name, key)) return "FINISHED";
      const holder = claims.get(key);
      // Its own again: it did not hear the answer before.
      if (holder !== undefined && holder !== member && isThere(holder)) return "BUSY";
      claims.set(key, member);
      return "CLAIMED";
    });
  }

  /** To be called before the offsets that come with it are taken in: an offset without its key would be a message that is given twice. */
  heard(member: Member, { number, finished, released }: KeyReport): void {
    const { group, terms } = member;
    if (terms.idempotenceWindow === 0) return;
    const claims = this.#claims(group);
    for (const key of [...finished, ...released]) if (claims.get(key) === member) claims.delete(key);
    if (!this.#finished.add(group.name, finished, terms.idempotenceWindow) && !this.#warned.has(group)) {
      this.#warned.add(group);
      const error = new MQError("FLOW_CONTROL", `Group "${group.name}" finishes more than ${MAX_FINISHED_KEYS} keys within its window; the oldest are forgotten sooner.`, { field: "idempotent" });
      for (const other of group.bound()) other.tell(error);
    }
    this.#state.whenWritten(() => (member.keysKept = Math.max(member.keysKept, number)));
  }

  #claims(group: ConsumerGroup): Map<string, Member> {
    const claims = this.#inHand.get(group) ?? new Map<string, Member>();
    this.#inHand.set(group, claims);
    return claims;
  }
}

function isThere(member: Member): boolean {
  return member.group.members.get(member.id) === member;
}
