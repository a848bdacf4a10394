import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { MessageExt } from "../../index.ts";
import { bytes, count, sentence, time } from "../format.ts";
import { readAt } from "../session.ts";
import { inspected, type Place } from "../state.ts";
import { Dialog } from "./Dialog.tsx";

const MAX_SHOWN = 20_000;
const MAX_HEX = 512;

export function Inspector() {
  const place = inspected.value;
  if (place === null) return null;
  return (
    <Dialog title={`Queue ${place.queueId}, offset ${place.offset}`} onClose={() => (inspected.value = null)}>
      <Content key={`${place.topic}:${place.queueId}:${place.offset}`} place={place} />
    </Dialog>
  );
}

function Content({ place }: { place: Place }) {
  const message = useSignal<MessageExt | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    readAt(place).then(
      ({ messages: [found] }) => {
        if (found?.queueOffset === place.offset) message.value = found;
        else problem.value = "This message is no longer stored.";
      },
      (error: unknown) => (problem.value = error instanceof Error ? sentence(error.message) : String(error)),
    );
  }, []);
  if (problem.value !== "") return <p role="alert">{problem.value}</p>;
  if (message.value === null) return <p class="quiet">Reading from the log…</p>;
  return <Details message={message.value} />;
}

function Details({ message }: { message: MessageExt }) {
  const facts: [string, string][] = [
    ["Topic", message.topic],
    ["msgId", message.msgId],
    ["offsetMsgId", message.offsetMsgId],
    ["Tag", message.tags ?? ""],
    ["Keys", message.keys.join(", ")],
    ["Message group", message.messageGroup ?? ""],
    ["Properties", Object.entries(message.properties).map(([name, value]) => `${name} = ${value}`).join("\n")],
    ["Sent", time(message.bornTimestamp)],
    ["Stored", `${time(message.storeTimestamp)}, ${count(message.storeSize)} bytes at log position ${count(message.commitLogOffset)}`],
  ];
  return (
    <>
      <dl class="diagnostics">
        {facts.filter(([, value]) => value !== "").map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <h3>Body <span class="aside">{message.bodyKind}, {bytes(message.body.byteLength)}</span></h3>
      <pre class="body" tabIndex={0} aria-label="Body">{bodyText(message)}</pre>
    </>
  );
}

function bodyText(message: MessageExt): string {
  if (message.bodyKind === "bytes") {
    const hex = Array.from(message.body.subarray(0, MAX_HEX), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return message.body.byteLength > MAX_HEX ? `${hex} …` : hex;
  }
  const isShort = message.body.byteLength <= MAX_SHOWN;
  if (message.bodyKind === "json" && isShort) return JSON.stringify(message.json(), null, 2);
  const text = new TextDecoder().decode(message.body.subarray(0, MAX_SHOWN));
  return isShort ? text : `${text}…`;
}
