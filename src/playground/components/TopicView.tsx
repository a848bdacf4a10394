import { useSignal } from "@preact/signals";
import { checkGroup } from "../../index.ts";
import { consumers, startConsumer } from "../consumers.ts";
import { rows } from "../feed.ts";
import { count, sentence } from "../format.ts";
import { isRead, owners, totalBacklog, view } from "../lanes.ts";
import { defaultGroup } from "../location.ts";
import { client, group, topic } from "../state.ts";
import { CreateTopic } from "./CreateTopic.tsx";
import { describedBy, Field } from "./Field.tsx";
import { Lanes } from "./Lanes.tsx";

export function TopicView() {
  const { status, reason, lanes, consumeTps } = view.value;
  return (
    <section class="panel" id="topic-view" aria-labelledby="topic-title" tabIndex={-1}>
      <div class="panel-head">
        <div class="topic-title">
          <p class="eyebrow">Topic</p>
          <h2 id="topic-title">{topic.value}</h2>
        </div>
        <GroupField />
        <dl class="figures">
          <div><dt>Backlog</dt><dd data-figure="backlog" class={totalBacklog.value > 0 ? "waiting" : ""}>{isRead.value ? count(totalBacklog.value) : "–"}</dd></div>
          <div><dt>Consumed</dt><dd>{isRead.value ? <>{consumeTps.toFixed(consumeTps < 10 ? 1 : 0)}<small>/s</small></> : "–"}</dd></div>
        </dl>
      </div>
      {status === "loading" && <p class="quiet">Asking the broker…</p>}
      {status === "refused" && <p class="error" role="alert">{reason}</p>}
      {status === "missing" && <CreateTopic key={topic.value} />}
      {status === "here" && <Hint />}
      {status === "here" && <Lanes lanes={lanes} />}
    </section>
  );
}

/** One sentence about what can be seen, or should be done next. */
function Hint() {
  if (owners.value.length === 0) return <NobodyReads />;
  const mine = client.value?.clientId;
  if (owners.value.length === 1 && owners.value[0] === mine && view.value.lanes.length > 1)
    return <p class="quiet">This tab works on all {view.value.lanes.length} queues. Open another tab: it takes over its share.</p>;
  return null;
}

function NobodyReads() {
  const isStarting = consumers.value.some((one) => one.topic === topic.value && one.group === group.value);
  if (isStarting) return <p class="quiet">The group is sharing out its queues…</p>;
  const start = (): void =>
    void startConsumer({ topic: topic.value, group: group.value, expression: "*", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  return (
    <div class="notice">
      <p>Nobody in group <strong>{group.value}</strong> reads this topic: what is sent waits here.</p>
      <button type="button" class="button" onClick={start}>Start a consumer in this tab</button>
    </div>
  );
}

function GroupField() {
  const error = useSignal<string | undefined>(undefined);
  const names = new Set([defaultGroup(topic.value), group.value]);
  for (const one of [...consumers.value, ...rows.value]) if (one.topic === topic.value) names.add(one.group);
  const choose = (input: HTMLInputElement): void => {
    try {
      checkGroup(input.value);
      error.value = undefined;
      group.value = input.value;
    } catch (reason) {
      error.value = sentence((reason as Error).message);
    }
  };
  return (
    <Field id="lens" label="As seen by group" error={error.value}>
      <input
        id="lens" list="groups" autocomplete="off" autocapitalize="none" spellcheck={false}
        value={group.value}
        onChange={(event) => choose(event.currentTarget)}
        {...describedBy("lens", error.value)}
      />
      <datalist id="groups">{[...names].map((name) => <option key={name} value={name} />)}</datalist>
    </Field>
  );
}
