/** What the diagnostics panel says of a broker. Each finding has its control: the same broker without the trouble is not told of it. */
import { describe, expect, it, vi } from "vitest";
import { type BrokerStats, type ClientConnection, DEFAULT_BROKER_SETTINGS, type Diagnostics } from "../../src/index.ts";
import { en } from "../../src/devtools/i18n/en/index.ts";
import { zh } from "../../src/devtools/i18n/zh.ts";
import { QUOTA_MARKS, quotaRule } from "../../src/devtools/panels/broker/quota.ts";
import { type BadId, type Finding, findings, type Observation, SEVERITIES, type Severity, WATCHED_LONG_ENOUGH } from "../../src/devtools/panels/diagnostics/findings.ts";
import { type GroupState, GroupWatch } from "../../src/devtools/panels/diagnostics/group-state.ts";
import { SCHEDULE_GROUP } from "../../src/devtools/panels/map/names.ts";
import { CLEAN_FORCIBLY_RATIO, DELETE_RATIO, FULL_RATIO } from "../../src/model/retention.ts";
import { NodeOrigin } from "../support/node-broker.ts";

const GIB = 2 ** 30;

/** A broker with which all is well. */
function wellReport(): Diagnostics {
  const settings = { ...DEFAULT_BROKER_SETTINGS };
  return {
    namespace: "n", clientId: "c", host: { kind: "shared", isHere: false, code: "SHARED_WORKER", reason: "" }, durability: "strict", persisted: true, usage: GIB, quota: 10 * GIB, settings, ignored: [], protocol: 1, trace: { written: 5, dropped: 0 },
    broker: {
      lib: "0", incarnation: "i", epoch: 2, worker: "shared", storage: "indexeddb", durability: "strict", encrypted: true, settings, indexer: "wasm", sessions: 1, calls: 1, position: 1000,
      durablePosition: 1000, commits: 10, cacheBytes: 0, storageFull: false, lostSends: 0, damaged: [], violations: 0,
      recovery: { loss: "none", lastKnownPosition: 900, replayed: 1, rebuilt: 0, position: 900, damaged: [], moreDamaged: 0, tookMs: 5 },
      transactions: { pending: 0, oldestAge: 0 },
      retention: { minPosition: 0, removedMessages: 0, removedBytes: 0, usedRatio: 0, removedTimers: 0 },
      timers: { pending: 0, indexBytes: 0 },
    },
  };
}

const wellStats: BrokerStats = {
  brokerName: "broker-a", epoch: 2, bootTimestamp: 0, topics: 1, groups: 1, clients: 1, messages: 5000, bytes: 5000, putMessages: 5000, putBytes: 5000, getMessages: 0, getBytes: 0,
  putTps: 0, getTps: 0, commits: 100, removedMessages: 0,
};

const wellGroup: GroupState = { group: "g", consumers: 1, isEnabled: true, lag: 0, consumeTps: 0, watched: WATCHED_LONG_ENOUGH, lagBefore: 0, deadLetters: 0, hasMoreDeadLetters: false };

const NOW = 1_000_000;
const wellClient: ClientConnection = { clientId: "c", connectedTimestamp: 1, lastCallTimestamp: NOW, producerGroups: [], consumerGroups: ["g"], putMessages: 0, putBytes: 0, getMessages: 0, topics: [] };

function observed({ report = () => {}, stats = {}, groups = [{}], clients = [{}] }: Change): Observation {
  const whole = wellReport();
  report(whole);
  return { report: whole, stats: { ...wellStats, ...stats }, groups: groups.map((group) => ({ ...wellGroup, ...group })), clients: clients.map((client) => ({ ...wellClient, ...client })), at: NOW };
}

interface Change {
  report?: (report: Diagnostics) => void;
  stats?: Partial<BrokerStats>;
  groups?: Partial<GroupState>[];
  clients?: Partial<ClientConnection>[];
}

const bad = (observation: Observation): Finding[] => findings(observation).filter(({ severity }) => severity !== "good");

const range = { position: 5, bytes: 7, reason: "checksum" };

/** The trouble, and what looks like it and is none. */
const CASES: [id: BadId, severity: Severity, trouble: Change, control: Change][] = [
  ["full", "error", { report: (r) => (r.broker.retention.usedRatio = 0.91) }, { report: (r) => (r.broker.retention.usedRatio = 0.9) }],
  ["refused", "error", { report: (r) => (r.broker.storageFull = true) }, { report: (r) => (r.broker.storageFull = false) }],
  ["oldest", "warning", { report: (r) => (r.broker.retention.usedRatio = 0.86) }, { report: (r) => (r.broker.retention.usedRatio = 0.85) }],
  ["expired", "note", { report: (r) => (r.usage = 7.6 * GIB) }, { report: (r) => (r.usage = 7.5 * GIB) }],
  ["quotaUnknown", "note", { report: (r) => { delete r.quota; delete r.usage; } }, {}],
  ["quotaUnknown", "note", { report: (r) => { r.quota = r.usage! + 10 * GIB; } }, {}],
  ["memory", "warning", { report: (r) => (r.durability = "memory") }, {}],
  ["notPersisted", "warning", { report: (r) => (r.persisted = false) }, {}],
  ["persistenceUnknown", "note", { report: (r) => void delete r.persisted }, {}],
  ["relaxed", "warning", { report: (r) => (r.durability = "relaxed") }, {}],
  ["typescript", "note", { report: (r) => (r.broker.indexer = "typescript") }, {}],
  ["lossTotal", "error", { report: (r) => (r.broker.recovery.loss = "total") }, { report: (r) => (r.broker.recovery.lastKnownPosition = null) }],
  ["lossTail", "error", { report: (r) => (r.broker.recovery.loss = "tail") }, { report: (r) => (r.broker.recovery.replayed = 100_000) }],
  ["damaged", "error", { report: (r) => r.broker.damaged.push(range) }, { report: (r) => (r.broker.recovery.rebuilt = 9) }],
  ["lostSends", "error", { report: (r) => (r.broker.lostSends = 1) }, {}],
  ["removedTimers", "error", { report: (r) => (r.broker.retention.removedTimers = 1) }, { report: (r) => (r.broker.timers.pending = 7) }],
  ["removed", "note", { report: (r) => (r.broker.retention.removedMessages = 3) }, {}],
  ["noMember", "warning", { groups: [{ consumers: 0, lag: 1 }] }, { groups: [{ consumers: 0, lag: 0 }] }],
  ["disabled", "note", { groups: [{ isEnabled: false, lag: 1 }] }, { groups: [{ isEnabled: false, lag: 0 }] }],
  ["stalled", "warning", { groups: [{ lag: 5, lagBefore: 5 }] }, { groups: [{ lag: 5, lagBefore: 6 }] }],
  ["stalled", "warning", { groups: [{ lag: 50, lagBefore: 5 }] }, { groups: [{ lag: 5, lagBefore: 5, watched: WATCHED_LONG_ENOUGH - 1 }] }],
  ["growing", "warning", { groups: [{ lag: 100, lagBefore: 50, consumeTps: 3 }] }, { groups: [{ lag: 50, lagBefore: 100, consumeTps: 3 }] }],
  ["growing", "warning", { groups: [{ lag: 100, lagBefore: 0 }] }, { groups: [{ lag: 100, lagBefore: 95, consumeTps: 3 }] }],
  ["silent", "note", { clients: [{ lastCallTimestamp: NOW - 20_001 }] }, { clients: [{ lastCallTimestamp: NOW - 20_000 }, { lastCallTimestamp: 0, consumerGroups: [] }] }],
  ["deadLetters", "warning", { groups: [{ deadLetters: 1 }] }, {}],
  ["transactions", "warning", { report: (r) => (r.broker.transactions = { pending: 1, oldestAge: 96_001 }) }, { report: (r) => (r.broker.transactions = { pending: 1, oldestAge: 96_000 }) }],
  ["configIgnored", "warning", { report: (r) => r.ignored.push({ name: "traceEnable", asked: false, running: true }) }, { report: (r) => (r.settings.traceEnable = false) }],
  ["violations", "warning", { report: (r) => (r.broker.violations = 1) }, {}],
  ["behind", "warning", { report: (r) => (r.broker.position += 17 * 2 ** 20) }, { report: (r) => (r.broker.position += 2 ** 20) }],
  ["singly", "note", { stats: { putMessages: 5000, commits: 4000 } }, { stats: { putMessages: 500, commits: 500 } }],
  ["notEncrypted", "note", { report: (r) => (r.broker.encrypted = false) }, {}],
  ["traceDropped", "note", { report: (r) => (r.trace.dropped = 1) }, {}],
];

describe("findings", () => {
  it("of a broker with which all is well say only that", () => {
    expect(findings(observed({})).map(({ id, severity }) => `${severity} ${id}`)).toEqual(
      ["good room", "good persisted", "good strict", "good encrypted", "good whole", "good wasm", "good consumed"],
    );
  });

  it.each(CASES)("%s (%s)", (id, severity, trouble, control) => {
    expect(bad(observed(trouble)).map((finding) => [finding.id, finding.severity])).toEqual([[id, severity]]);
    expect(bad(observed(control)).map((finding) => finding.id)).not.toContain(id);
  });

  it("name what they are about, and where it can be looked at", () => {
    const [letters, alone] = bad(observed({ groups: [{ group: "a%b", deadLetters: 2 }, { group: "idle" }, { group: "lonely", consumers: 0, lag: 9 }] })).sort((one, other) => one.id.localeCompare(other.id));
    expect(letters).toMatchObject({ figures: { count: 1 }, to: "/dead-letters", subjects: [{ name: "a%b", to: "/dead-letters/a%25b", note: { figures: { count: 2 } } }] });
    expect(alone).toMatchObject({ to: "/groups", subjects: [{ name: "lonely", to: "/groups/lonely", note: { figures: { count: 9 } } }] });
    const [ignored] = bad(observed({ report: (r) => r.ignored.push({ name: "maxStoreBytes", asked: 1, running: 0 }) }));
    expect(ignored!.subjects).toEqual([{ name: "maxStoreBytes", to: "/broker?setting=maxStoreBytes", note: { key: "diagnostics.asked", figures: { asked: "1", running: "0" } } }]);
  });

  it("stand in the order of their severity, and what is wrong is not called in order as well", () => {
    const found = findings(observed({
      report: (r) => {
        r.broker.violations = 1;
        r.broker.lostSends = 1;
        r.broker.encrypted = false;
      },
      groups: [{ consumers: 0, lag: 1 }],
    }));
    expect(found.map(({ severity }) => SEVERITIES.indexOf(severity))).toEqual(found.map(({ severity }) => SEVERITIES.indexOf(severity)).sort());
    expect(found[0]).toMatchObject({ id: "lostSends" });
    const goods = found.filter(({ severity }) => severity === "good").map(({ id }) => id);
    expect(goods).toEqual(["room", "persisted", "strict", "wasm"]);
  });

  it("do not call a backlog in order that was seen a moment ago only", () => {
    const goods = (watched: number): string[] => findings(observed({ groups: [{ lag: 5, lagBefore: 5, consumeTps: 9, watched }] })).filter(({ severity }) => severity === "good").map(({ id }) => id);
    expect(goods(WATCHED_LONG_ENOUGH)).toContain("consumed");
    expect(goods(WATCHED_LONG_ENOUGH - 1)).not.toContain("consumed");
  });

  it("have a case each, and texts in both languages", () => {
    const ids = Object.keys(en).map((key) => /^diagnostics\.(\w+)\.mend$/.exec(key)?.[1]).filter((id) => id !== undefined);
    expect([...new Set(CASES.map(([id]) => id))].sort()).toEqual(ids.sort());
    for (const [id] of CASES) for (const part of ["title", "why", "mend"] as const) expect(zh[`diagnostics.${id}.${part}`]).toBeTruthy();
  });
});

describe("what is known of groups", () => {
  it("leaves the broker's own out, which are behind as long as a message waits for its time", async () => {
    const origin = new NodeOrigin();
    const mq = await origin.connect({ clientId: "a", broker: { messageDelayLevel: "10ms 1h" } });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await mq.admin.createGroup({ group: "billing" });
    await producer.send({ topic: "orders", body: "soon", delayTimeLevel: 1 });
    await producer.send({ topic: "orders", body: "later", delayTimeLevel: 2 });
    // The control: the broker lists its group, and says that it is behind.
    await vi.waitFor(async () => expect((await mq.admin.groups()).map(({ group }) => group).sort()).toEqual([SCHEDULE_GROUP, "billing"]), { timeout: 15_000 });
    expect((await mq.admin.consumeStats(SCHEDULE_GROUP)).diffTotal).toBe(1);
    expect((await new GroupWatch().ask(mq.admin)).map(({ group }) => group)).toEqual(["billing"]);
    await origin.close();
  });
});

describe("the quota bar", () => {
  it("has retention's marks", () => {
    expect(QUOTA_MARKS.map(({ share }) => share)).toEqual([DELETE_RATIO, CLEAN_FORCIBLY_RATIO, FULL_RATIO]);
    expect([0.75, 0.751, 0.85, 0.851, 0.9, 0.901].map(quotaRule)).toEqual([null, "expired", "expired", "oldest", "oldest", "refused"]);
  });
});
