// What every application of the matrix consists of: one import, and no word about workers.
import { connect } from "tabmq";

let mq;
const received = [];

/** `worker`: the URL of a copied worker, where the application has to name it. Resolves with how it went. */
export async function open(namespace, worker) {
  try {
    const own = worker === undefined ? {} : { worker: (name) => new SharedWorker(worker, { name, extendedLifetime: true }) };
    mq = await connect({ namespace, ...own });
    return { code: "connected", message: "" };
  } catch (error) {
    return { code: error?.code ?? "not an MQError", message: String(error?.message ?? error) };
  }
}

export async function consume(topic) {
  await mq.createPushConsumer({
    consumerGroup: "matrix",
    subscriptions: { [topic]: "*" },
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => void received.push(message.text()),
  });
}

export async function send(topic, bodies) {
  const producer = await mq.createProducer({ producerGroup: "matrix" });
  for (const body of bodies) await producer.send({ topic, body });
}

export const seen = () => [...received];

export const diagnostics = () => mq.diagnostics();
