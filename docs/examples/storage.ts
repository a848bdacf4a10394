import { connect } from "tabmq";
import type { Live } from "./live.ts";

export default async function run({ namespace, log }: Live) {
  const mq = await connect({
    namespace,
    broker: { fileReservedTime: 7 * 86_400_000, maxStoreBytes: 256 * 2 ** 20 },
  });
  const producer = await mq.createProducer({ producerGroup: "app" });
  const { msgId } = await producer.send({ topic: "notes", body: "keep me" });

  const { durability, settings, broker: { recovery } } = await mq.diagnostics();
  log(`durability ${durability}; at most ${settings.maxStoreBytes / 2 ** 20} MiB`);
  log(`lost since the last start: ${recovery.loss}`);

  // A backup, read into another namespace: this one keeps nothing.
  const copy = await connect({ namespace: `${namespace}-copy`, host: "memory" });
  await copy.admin.importLog(mq.admin.exportLog());
  log(`in the copy: ${(await copy.admin.viewMessage(msgId)).text()}`);
  await copy.close();
}

// Output:
// durability strict; at most 256 MiB
// lost since the last start: none
// in the copy: keep me
