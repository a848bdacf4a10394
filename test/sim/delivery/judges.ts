import { SYSTEM_GROUP_PREFIX, isCopyTopic } from "../../../src/model/system-names.ts";
import type { Verdict } from "../checkers.ts";
import { entriesOf, type History, type Of, placeOf } from "../history.ts";

/** What became of the messages that are called by their content, in the topic that they were sent to. */
class Story {
  readonly #stored = new Map<string, Of<"stored">[]>();

  constructor(history: History) {
    // A store that is merged or copied tells no record twice; one that is told twice stands twice.
    for (const entry of entriesOf(history, "stored")) {
      if (isCopyTopic(entry.record.topic)) continue;
      const content = entry.record.content.trim();
      this.#stored.set(content, [...(this.#stored.get(content) ?? []), entry]);
    }
  }

  of(content: string): Of<"stored">[] {
    return this.#stored.get(content) ?? [];
  }

  *[Symbol.iterator](): Generator<[content: string, copies: Of<"stored">[]]> {
    yield* this.#stored;
  }
}

/** Each a pure function of the history; an empty list is good. */
export function judge(history: History): Verdict[] {
  const story = new Story(history);
  return [...storedOnce(story), ...timersOf(history, story), ...recallsOf(history, story), ...transactionsOf(history, story), ...transformsOf(story), ...ordersOf(history, story), ...calls(history), ...rest(history)];
}

/** However often something is sent again, relayed, committed or delivered: it is visible once. */
function storedOnce(story: Story): Verdict[] {
  return [...story].filter(([, copies]) => copies.length > 1).map(([content, copies]) => ({ kind: "visible twice", text: `${content} at ${copies.map(({ record }) => placeOf(record)).join(" and ")}` }));
}

/** Late at worst, never early; and what was accepted comes, unless it was called back. */
function timersOf(history: History, story: Story): Verdict[] {
  const accepted = new Set(entriesOf(history, "accepted").map(({ content }) => content));
  const refused = new Set(entriesOf(history, "recall answered").filter(({ isRecalled }) => isRecalled === false).map(({ content }) => content));
  // Of an answer that never came nobody knows.
  const recalled = new Set(entriesOf(history, "recall asked").map(({ content }) => content).filter((content) => !refused.has(content)));
  const jumped = history.some((entry) => entry.type === "fault" && entry.kind === "clock jumped");
  return entriesOf(history, "timed").flatMap(({ content, after, at }): Verdict[] => {
    const [copy] = story.of(content);
    if (copy === undefined) return accepted.has(content) && !recalled.has(content) ? [{ kind: "timer lost", text: `${content}, asked for at ${at}` }] : [];
    // By the true time. A clock that is moved moves what is due by it: nobody has promised anything then but that it comes.
    return !jumped && copy.at < at + after ? [{ kind: "delivered early", text: `${content} is visible at ${copy.at}, and not due before ${at + after}` }] : [];
  });
}

function recallsOf(history: History, story: Story): Verdict[] {
  return entriesOf(history, "recall answered")
    .filter(({ content, isRecalled }) => isRecalled === true && story.of(content).length > 0)
    .map(({ content, at }) => ({ kind: "recalled and delivered", text: `${content}, recalled at ${at}` }));
}

/** What the application has decided is what is visible. */
function transactionsOf(history: History, story: Story): Verdict[] {
  const decisions = new Map(entriesOf(history, "decided").map((entry) => [entry.content, entry]));
  return entriesOf(history, "begun").flatMap(({ content }): Verdict[] => {
    const [visible] = story.of(content);
    const decided = decisions.get(content);
    // Only a half message that is surely stored is decided upon.
    if (visible === undefined) return decided?.decision === "COMMIT" ? [{ kind: "commit lost", text: `${content}, decided at ${decided.at}` }] : [];
    if (decided?.decision === "COMMIT" && visible.at >= decided.at) return [];
    return [{ kind: "visible without commit", text: `${content} at ${visible.at}; ${decided === undefined ? "not decided" : `${decided.decision} at ${decided.at}`}` }];
  });
}

/** For each message that came in, one that went out: never none in the end, and never another. */
function transformsOf(story: Story): Verdict[] {
  return [...story].flatMap(([content, [first]]): Verdict[] => {
    if (first!.record.topic === "in") return story.of(`${content}-out`).length === 0 ? [{ kind: "nothing came of it", text: content }] : [];
    if (first!.record.topic !== "out") return [];
    const source = story.of(content.slice(0, -"-out".length));
    return source.length === 0 ? [{ kind: "phantom", text: `${content} was sent for nothing that there is` }] : [];
  });
}

/** What the application has in its own database has become a message, and nothing else has. */
function ordersOf(history: History, story: Story): Verdict[] {
  const orders = new Set(entriesOf(history, "ordered").map(({ content }) => content));
  const lost = [...orders].filter((content) => story.of(content).length === 0).map((content): Verdict => ({ kind: "commit lost", text: `${content} is an order, and no message` }));
  const made = [...story].filter(([content, [first]]) => first!.record.topic === "orders" && !orders.has(content));
  return [...lost, ...made.map(([content]): Verdict => ({ kind: "visible without commit", text: `${content} is a message, and no order` }))];
}

/** A tab that sees to it that there is a host may hold the writer lock for a moment, and die as one. */
function calls(history: History): Verdict[] {
  const settled = new Map(entriesOf(history, "settled").map((entry) => [entry.call, entry]));
  const crashed = new Set(entriesOf(history, "fault").filter(({ kind }) => kind === "tab crashed" || kind === "host killed").map(({ agent }) => agent));
  return entriesOf(history, "call").flatMap(({ call, tab, what, limit, at }): Verdict[] => {
    if (crashed.has(tab)) return [];
    const end = settled.get(call);
    if (end === undefined) return [{ kind: "hung call", text: `${what} of ${tab} at ${at} has not settled` }];
    return end.at - at > limit ? [{ kind: "hung call", text: `${what} of ${tab} at ${at} took ${Math.round(end.at - at)} ms of ${limit}` }] : [];
  });
}

function rest(history: History): Verdict[] {
  return entriesOf(history, "rest").every(({ isReached }) => isReached) ? [] : [{ kind: "not at rest", text: `something is left after all: ${leftOver(history).slice(0, 5).join(", ")}` }];
}

/** Of the broker's own groups: what nothing has taken the place of. For whoever looks for the reason. */
function leftOver(history: History): string[] {
  const stored = entriesOf(history, "stored");
  const finished = new Set(stored.map(({ finishes }) => finishes?.split(" ")[1]));
  return stored.filter(({ record }) => isCopyTopic(record.topic) && !finished.has(placeOf(record))).map(({ record }) => `${placeOf(record)} (${record.content.trim()}, ${SYSTEM_GROUP_PREFIX}…)`);
}
