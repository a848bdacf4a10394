import { connect, MQError, type Producer, type PullConsumer, type PullResult } from "../index.ts";
import { sentence } from "./format.ts";
import { address, client, diagnostics, failure, phase, type Place, topic, topics } from "./state.ts";

let producer: Promise<Producer> | null = null;
let reader: Promise<PullConsumer> | null = null;

/** Connects this tab; what happens to the connection afterwards shows in `phase`. */
export async function openSession(): Promise<boolean> {
  phase.value = "connecting";
  try {
    const mq = await connect({ namespace: address.namespace, host: address.host });
    mq.on("connected", () => {
      phase.value = "connected";
      void refreshDiagnostics();
    });
    mq.on("disconnected", () => (phase.value = "reconnecting"));
    mq.on("damaged", () => void refreshDiagnostics());
    client.value = mq;
    phase.value = "connected";
    await Promise.all([refreshDiagnostics(), refreshTopics()]);
    await makeFirstTopic();
    return true;
  } catch (error) {
    phase.value = "failed";
    failure.value = error instanceof Error ? sentence(error.message) : String(error);
    return false;
  }
}

/** A newcomer sees queues at once; any other topic is made by whoever means it. */
async function makeFirstTopic(): Promise<void> {
  if (topics.value.length > 0 || topic.value !== "orders") return;
  await client.value?.admin.createTopic({ topic: "orders" });
  await refreshTopics();
}

export async function refreshDiagnostics(): Promise<void> {
  const report = await client.value?.diagnostics().catch(ignoreUnlessBug);
  if (report !== undefined) diagnostics.value = report;
}

export async function refreshTopics(): Promise<void> {
  const list = await client.value?.admin.topics().catch(ignoreUnlessBug);
  if (list !== undefined) topics.value = list;
}

export function theProducer(): Promise<Producer> {
  return (producer ??= required().createProducer({ producerGroup: "playground" }));
}

/** Reads one message where it stands, on nobody's account. */
export async function readAt({ topic: name, queueId, offset }: Place): Promise<PullResult> {
  reader ??= required().createPullConsumer({ consumerGroup: "playground-reader" });
  const { brokerName } = topics.value.find((config) => config.topic === name) ?? { brokerName: "" };
  return (await reader).pull({ topic: name, brokerName, queueId }, "*", offset, 1);
}

function required(): NonNullable<typeof client.value> {
  if (client.value === null) throw new Error("This page is not connected to a broker yet.");
  return client.value;
}

/** A broker that goes away while we ask is normal life, and the header shows it. */
export function ignoreUnlessBug(error: unknown): undefined {
  if (!(error instanceof MQError)) throw error;
  return undefined;
}
