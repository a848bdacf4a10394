import { counted, milliseconds } from "../format.ts";
import { outcome } from "../sender.ts";
import { inspected } from "../state.ts";

/** What became of the last send. */
export function SendOutcome() {
  const result = outcome.value;
  if (result.state === "none") return null;
  if (result.state === "sending") return <p class="outcome">Sending {counted(result.count, "message")}…</p>;
  if (result.state === "failed") return <Failed {...result} />;

  const { last, count, tookMs } = result;
  const { topic, queueId } = last.messageQueue;
  const offset = last.queueOffset;
  return (
    <div class="outcome good">
      <p>
        <strong>{count === 1 ? "Durable" : `${count} durable`}</strong> after {milliseconds(tookMs)}
        {count > 1 && "; the last one:"}
      </p>
      <dl class="facts">
        <div><dt>Queue</dt><dd data-result="queue">{queueId}</dd></div>
        <div><dt>Offset</dt><dd data-result="offset">{offset}</dd></div>
        <div class="wide">
          <dt>msgId</dt>
          <dd>
            <button type="button" class="link" onClick={() => (inspected.value = { topic, queueId, offset })}>
              <code data-result="msgId">{last.msgId}</code>
            </button>
          </dd>
        </div>
      </dl>
    </div>
  );
}

function Failed({ field, sentence, stored, count }: { field: string | undefined; sentence: string; stored: number; count: number }) {
  const nothing = count === 1 ? "Not sent." : "Nothing was sent.";
  return (
    <div class="outcome bad" role="alert">
      <p>
        <strong>{stored === 0 ? nothing : `${stored} of ${count} were stored.`}</strong>{" "}
        {field === undefined ? sentence : "See the field marked above."}
      </p>
    </div>
  );
}
