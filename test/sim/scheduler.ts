import type { Clock } from "../../src/platform/clock.ts";
import type { Cancel, Timers } from "../../src/platform/timers.ts";
import type { Prng } from "./prng.ts";

/** Virtual time 0: 2026-01-01. */
const EPOCH = Date.UTC(2026, 0, 1);
/** Events between two visits to Node's real event loop, which others need too. */
const EVENTS_PER_TURN = 512;

interface Event {
  time: number;
  tie: number;
  sequence: number;
  agent: Agent | null;
  label: string;
  run: (() => void) | null;
}

/**
 * One queue of everything that will happen: timers, messages, transactions, locks. Time is virtual: it stands still
 * while code runs and jumps to the next event when nothing is left to do. The seed decides between equals.
 */
export class Scheduler {
  /** Virtual ms since the start. */
  now = 0;
  /** Events that have run. */
  events = 0;
  /** Hears of every event, for whoever looks for a fault. */
  onEvent: (time: number, agent: string, label: string) => void = () => {};
  readonly #heap: Event[] = [];
  readonly #ties: Prng;
  #sequence = 0;
  #trace = 0;

  constructor(random: Prng) {
    this.#ties = random;
  }

  /** A number that stands for all that has happened, in its order. */
  get trace(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, "0");
  }

  /** Something outside of all agents: the machine, the browser. */
  after(delay: number, label: string, run: () => void): Cancel {
    return this.#add(delay, this.#ties.next(), null, label, run);
  }

  /** Something that happens in an agent: withheld while it is frozen, never once it is dead. */
  post(agent: Agent, delay: number, label: string, run: () => void): Cancel {
    return this.#add(delay, this.#ties.next(), agent, label, run);
  }

  /** As `post`; timers that are due at the same time run in the order of their making, as HTML demands. */
  postTimer(agent: Agent, delay: number, run: () => void): Cancel {
    return this.#add(delay, 0.5, agent, "timer", run);
  }

  /** What was withheld from a frozen agent, in its order and before anything new. */
  release(events: Event[]): void {
    for (const event of events) if (event.run !== null) this.#add(0, -1, event.agent, event.label, event.run);
  }

  /** Runs until it is done, but no longer than `timeout` ms of virtual time. */
  runFor(isDone: () => boolean, timeout: number): Promise<void> {
    const deadline = this.now + timeout;
    // Without an event at its end, time would not get there.
    this.after(timeout, "patience", () => {});
    return this.run(() => isDone() || this.now >= deadline);
  }

  /** Runs event after event until `isDone`, or until nothing is left. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let budget = EVENTS_PER_TURN;
      const step = (): void => {
        try {
          const event = isDone() ? undefined : this.#pop();
          if (event === undefined) return resolve();
          this.#execute(event);
        } catch (error) {
          return reject(error);
        }
        if (--budget > 0) return void afterMicrotasks();
        budget = EVENTS_PER_TURN;
        setImmediate(step);
      };
      // Node takes the next tick only when the microtask queue is empty: all that the event has set going is done by then.
      // An await is a cheaper way into that queue than Node's queueMicrotask.
      const settled = Promise.resolve();
      const afterMicrotasks = async (): Promise<void> => {
        await settled;
        process.nextTick(step);
      };
      setImmediate(step);
    });
  }

  #add(delay: number, tie: number, agent: Agent | null, label: string, run: () => void): Cancel {
    const event: Event = { time: this.now + Math.max(0, delay), tie, sequence: this.#sequence++, agent, label, run };
    push(this.#heap, event);
    return () => (event.run = null);
  }

  /** The next event that is to run; cancelled ones are passed over without their time coming. */
  #pop(): Event | undefined {
    let event = pop(this.#heap);
    while (event !== undefined && (event.run === null || event.agent?.state === "dead")) event = pop(this.#heap);
    return event;
  }

  #execute(event: Event): void {
    this.now = event.time;
    const { agent } = event;
    if (agent?.state === "frozen") return void agent.withheld.push(event);
    this.events++;
    this.#mark(event);
    this.onEvent(event.time, agent?.name ?? "", event.label);
    event.run!();
  }

  #mark({ time, agent, label }: Event): void {
    let h = Math.imul(this.#trace ^ Math.floor(time * 1000), 0x01000193);
    for (const text of [agent?.name ?? "", label]) for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    this.#trace = h ^ (h >>> 15);
  }
}

/** A tab or a worker: what runs, freezes, falls behind and dies as a whole. */
export class Agent {
  readonly name: string;
  readonly random: Prng;
  state: "running" | "frozen" | "dead" = "running";
  /** How far its clock is from the true time, ms. */
  skew = 0;
  /** A hidden tab's timers run once a second. */
  isThrottled = false;
  /** Frozen for so long in all, ms. */
  frozenTime = 0;
  withheld: Event[] = [];
  readonly onDeath = new Set<() => void>();
  readonly #scheduler: Scheduler;
  #frozenSince = 0;

  constructor(name: string, scheduler: Scheduler, random: Prng) {
    this.name = name;
    this.random = random.fork(name);
    this.#scheduler = scheduler;
  }

  readonly clock: Clock = { now: () => Math.floor(EPOCH + this.#scheduler.now + this.skew), monotonic: () => this.#scheduler.now };

  readonly timers: Timers = {
    after: (delay, run) => {
      const { now } = this.#scheduler;
      const throttled = Math.ceil((now + delay) / 1000) * 1000 - now;
      return this.#scheduler.postTimer(this, this.isThrottled ? throttled : delay, run);
    },
  };

  freeze(): void {
    if (this.state !== "running") return;
    this.state = "frozen";
    this.#frozenSince = this.#scheduler.now;
  }

  resume(): void {
    if (this.state !== "frozen") return;
    this.state = "running";
    this.frozenTime += this.#scheduler.now - this.#frozenSince;
    this.#scheduler.release(this.withheld.splice(0));
  }

  /** Nothing of it ever runs again. */
  die(): void {
    if (this.state === "dead") return;
    this.state = "dead";
    this.withheld = [];
    for (const hear of this.onDeath) hear();
    this.onDeath.clear();
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.time !== b.time) return a.time < b.time;
  return a.tie === b.tie ? a.sequence < b.sequence : a.tie < b.tie;
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
    if (!isBefore(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}
