import { describe, expect, test } from "vitest";
import { DotScale, type Flow, flowsBetween } from "../../src/devtools/panels/map/flows.ts";
import { curveBetween, pointAt } from "../../src/devtools/panels/map/places.ts";
import { topicView, type TopicView } from "../../src/devtools/panels/map/topic-view.ts";

const NOTHING = { put: 0, taken: 0, waiting: 0, owner: undefined };

function view({ ends, consumed = ends.map(() => 0), owner = "a", ...more }: { ends: number[]; consumed?: number[]; owner?: string } & Partial<TopicView>): TopicView {
  const lanes = ends.map((max, queueId) => ({ queueId, min: 0, max, consumed: consumed[queueId]!, inflight: 0, backlog: max - consumed[queueId]!, owner }));
  return { isMissing: false, lanes, retry: NOTHING, dead: 0, consumeTps: 0, senders: [], ...more };
}

function text(flows: readonly Flow[]): string[] {
  return flows.map(({ from, to, count }) => `${from} -> ${to}: ${count}`);
}

describe("what moves between two answers", () => {
  const senders = (a: number, b: number) => [{ clientId: "a", putMessages: a }, { clientId: "b", putMessages: b }];

  test("from who sent it to its queue, and from its queue to the owner", () => {
    const flows = flowsBetween(view({ ends: [5, 5], consumed: [5, 2], senders: senders(7, 3) }), view({ ends: [8, 5], consumed: [6, 5], senders: senders(7, 6) }));
    expect(text(flows)).toEqual(["sender:b -> queue:0: 3", "queue:0 -> member:a: 1", "queue:1 -> member:a: 3"]);
  });

  test("where several send, each has its share, and nothing is lost or made", () => {
    const flows = flowsBetween(view({ ends: [0, 0], senders: senders(0, 0) }), view({ ends: [3, 4], senders: senders(5, 2) }));
    expect(text(flows)).toEqual(["sender:a -> queue:0: 2", "sender:b -> queue:0: 1", "sender:a -> queue:1: 3", "sender:b -> queue:1: 1"]);
  });

  test("what nobody has sent, not even a moment ago, had waited for its time", () => {
    const [earlier, before, after] = [view({ ends: [0], senders: senders(4, 2) }), view({ ends: [0], senders: senders(5, 2) }), view({ ends: [1], senders: senders(5, 2) })];
    expect(text(flowsBetween(before, after, { since: earlier }))).toEqual(["sender:a -> queue:0: 1"]);
    expect(text(flowsBetween(before, after))).toEqual(["delayed -> queue:0: 1"]);
  });

  test("what fails goes to wait, comes to be tried again, and ends as a dead letter", () => {
    const before = view({ ends: [1], consumed: [1] });
    const after = view({ ends: [1], consumed: [1], retry: { put: 3, taken: 2, waiting: 1, owner: "a" }, dead: 1 });
    expect(text(flowsBetween(before, after, { failed: [["a", 2]] }))).toEqual(["delayed -> retry: 3", "retry -> member:a: 2", "group -> dead: 1", "member:a -> delayed: 2"]);
  });

  test("a queue that has grown smaller, a new queue and an owner who has left move nothing", () => {
    expect(flowsBetween(view({ ends: [9], consumed: [9] }), view({ ends: [0, 4] }))).toEqual([]);
    const { lanes: [lane], ...rest } = view({ ends: [9], consumed: [4] });
    expect(flowsBetween(view({ ends: [9] }), { ...rest, lanes: [{ ...lane!, owner: undefined }] })).toEqual([]);
  });
});

describe("how many messages a dot stands for", () => {
  const flow = (count: number): Flow[] => [{ from: "sender:", to: "queue:0", count }];
  const drawn = (scale: DotScale, flows: Flow[]): number => scale.dots(flows).reduce((sum, { dots }) => sum + dots, 0);

  test("one, as long as each can be drawn", () => {
    const scale = new DotScale();
    expect([drawn(scale, flow(7)), scale.factor]).toEqual([7, 1]);
    expect([drawn(scale, flow(40)), scale.factor]).toEqual([40, 1]);
  });

  test("at a high rate so many that no dot stands for more, and the dots together for all", () => {
    const scale = new DotScale();
    let dots = 0;
    for (let round = 0; round < 20; round++) dots += drawn(scale, flow(1501));
    expect(scale.factor).toBe(50);
    expect(dots * 50).toBeGreaterThan(20 * 1501 - 50);
    expect(dots * 50).toBeLessThanOrEqual(20 * 1501);
    // What is left over is drawn too.
    expect(scale.rest().map((one) => one.dots)).toEqual([1]);
    expect([scale.factor, scale.rest()]).toEqual([1, []]);
  });

  test("fewer again only when it has been calm for a while", () => {
    const scale = new DotScale();
    drawn(scale, flow(4000));
    drawn(scale, flow(1));
    expect(scale.factor).toBe(100);
    for (let round = 0; round < 12; round++) drawn(scale, flow(1));
    expect(scale.factor).toBe(1);
  });
});

describe("the way of a dot", () => {
  const box = (left: number, top: number) => ({ left, right: left + 10, top, bottom: top + 10 });

  test("begins and ends at the edges that face each other", () => {
    const sideways = curveBetween(box(0, 0), box(100, 50));
    expect([pointAt(sideways, 0), pointAt(sideways, 1)]).toEqual([{ x: 10, y: 5 }, { x: 100, y: 55 }]);
    const back = curveBetween(box(100, 50), box(0, 0));
    expect([pointAt(back, 0), pointAt(back, 1)]).toEqual([{ x: 100, y: 55 }, { x: 10, y: 5 }]);
    const down = curveBetween(box(0, 0), box(100, 50), true);
    expect([pointAt(down, 0), pointAt(down, 1)]).toEqual([{ x: 5, y: 10 }, { x: 105, y: 50 }]);
  });
});

describe("a topic through a group's eyes", () => {
  test("the later of two answers is the truer one, and a group that has never been here has consumed nothing", () => {
    const stats = { topic: "t", queues: [0, 1].map((queueId) => ({ topic: "t", brokerName: "b", queueId, minOffset: 1, maxOffset: 5, lastUpdate: 0 })) };
    const row = { topic: "t", brokerName: "b", queueId: 0, brokerOffset: 7, consumerOffset: 4, diff: 3, inflight: 2, lastTimestamp: 0, clientId: "a" };
    const retry = { ...row, topic: "%RETRY%g", brokerOffset: 9, consumerOffset: 6, diff: 3 };
    const told = topicView({ group: "g", stats, consume: { group: "g", queues: [row, retry], diffTotal: 6, consumeTps: 1, discarded: 0 }, dead: null, senders: [] });
    expect(told.lanes).toEqual([
      { queueId: 0, min: 1, max: 7, consumed: 4, inflight: 2, backlog: 3, owner: "a" },
      { queueId: 1, min: 1, max: 5, consumed: null, inflight: 0, backlog: 0, owner: undefined },
    ]);
    expect(told.retry).toEqual({ put: 9, taken: 6, waiting: 3, owner: "a" });
    expect(topicView({ group: "g", stats: null, consume: { group: "g", queues: [], diffTotal: 0, consumeTps: 0, discarded: 0 }, dead: null, senders: [] }).isMissing).toBe(true);
  });
});
