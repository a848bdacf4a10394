import { stopConsumer, type TabConsumer, toggleSuspended } from "../consumers.ts";
import { counted, milliseconds } from "../format.ts";

const STATES = { starting: "Starting…", running: "Running", suspended: "Suspended", stopping: "Stopping…" };
const SLOWEST = 2000;
const STEP = 100;

export function ConsumerCard({ consumer }: { consumer: TabConsumer }) {
  const { id, group, topic, expression, slowness } = consumer;
  const state = consumer.state.value;
  const isIdle = state === "starting" || state === "stopping";
  return (
    <article class="card" aria-label={`Consumer of group ${group}`}>
      <div class="card-head">
        <h3 title={group}>{group}</h3>
        <span class={`state ${state}`}>{STATES[state]}</span>
      </div>
      <p class="card-line">
        reads <span class="name" title={topic}>{topic}</span>
        {expression !== "*" && <> where the tag is <code>{expression}</code></>}
      </p>
      <p class="card-line">
        {queuesText(consumer.queues.value)} · {counted(consumer.received.value, "message")} received
      </p>
      {consumer.trouble.value !== "" && <p class="error" role="alert">{consumer.trouble.value}</p>}
      <div class="slider">
        <label for={`slow-${id}`}>Time per message</label>
        <input
          id={`slow-${id}`} type="range" min={0} max={SLOWEST} step={STEP}
          value={slowness.value}
          aria-valuetext={milliseconds(slowness.value)}
          onInput={(event) => (slowness.value = event.currentTarget.valueAsNumber)}
        />
        <output for={`slow-${id}`}>{milliseconds(slowness.value)}</output>
      </div>
      <div class="buttons">
        <button type="button" class="button small" disabled={isIdle} onClick={() => toggleSuspended(consumer)}>
          {state === "suspended" ? "Resume" : "Suspend"}
        </button>
        <button type="button" class="button small" disabled={isIdle} onClick={() => void stopConsumer(consumer)}>Stop</button>
      </div>
    </article>
  );
}

function queuesText(queues: number[]): string {
  if (queues.length === 0) return "No queue of its own";
  if (queues.length > 8) return `${queues.length} queues, ${queues[0]!} to ${queues.at(-1)!}`;
  return `${queues.length === 1 ? "Queue" : "Queues"} ${queues.join(", ")}`;
}
