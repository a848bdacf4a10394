import { entriesOf, type FaultKind, type History, type Of } from "./history.ts";

/** How long a disturbance is felt after it has ended: until everybody has noticed, found the next host and drained what was under way, ms. */
export const AFTERMATH = 10_000;

/** When the world was disturbed, and who by. */
export class Disturbances {
  readonly #faults: Of<"fault">[];

  constructor(history: History) {
    this.#faults = entriesOf(history, "fault");
  }

  /** Was one of these going on, or still felt, between the two moments? `agent`: only faults of this one. */
  any(from: number, to: number, kinds: readonly FaultKind[], agent?: string): boolean {
    return this.#faults.some(
      ({ at, until = at, kind, agent: whose }) => at <= to && until + AFTERMATH >= from && kinds.includes(kind) && (agent === undefined || agent === whose),
    );
  }

  /** How far clocks of hosts were put ahead between the two moments, all together: by so much more a broker may think that time has passed. */
  putAhead(from: number, to: number): number {
    return this.#faults.reduce((sum, { at, agent, by = 0 }) => (at >= from && at <= to && !agent.startsWith("tab") ? sum + Math.max(0, by) : sum), 0);
  }

  /** How long nothing else is felt from the beginning of this one on: until when. */
  peaceAfter(fault: Of<"fault">): number {
    const others = this.#faults.filter((other) => other !== fault && (other.until ?? other.at) + AFTERMATH >= fault.at);
    return Math.min(...others.map(({ at }) => at));
  }
}
