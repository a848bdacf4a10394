import { crc32 } from "../model/crc32.ts";
import { LOG_FORMAT, LOG_FORMAT_VERSION, type ManifestRecord, writeManifest } from "../model/log-manifest.ts";
import { LIBRARY_VERSION, type TopicConfig, type TopicSpec } from "../protocol/api.ts";
import type { Connection } from "./connection.ts";

/** Topics, or groups' offsets, in one manifest record: below a message's greatest size in any case. */
const TOPICS_PER_RECORD = 1000;
const OFFSETS_PER_RECORD = 100;

/** Nothing is asked for that nobody wants to read yet: one part at a time is in memory. */
export function exportLog(connection: Connection, namespace: string): ReadableStream<Uint8Array> {
  const parts = partsOf(connection, namespace);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => void parts.return(undefined),
    },
    { highWaterMark: 0 },
  );
}

async function* partsOf(connection: Connection, namespace: string): AsyncGenerator<Uint8Array, void> {
  const { position, end, topics, offsets } = await connection.call("beginExport", []);
  const time = connection.environment.clock.now();
  const states = [
    ...slices(topics.map(specOf), TOPICS_PER_RECORD).map((part) => ({ topics: part })),
    ...slices(offsets, OFFSETS_PER_RECORD).map((part) => ({ offsets: part })),
  ];
  let [crc, bytes, records, index] = [0, 0, 0, 0];
  const passed = (part: Uint8Array): Uint8Array => {
    crc = crc32(part, crc);
    bytes += part.byteLength;
    return part;
  };
  const manifest = (body: ManifestRecord["body"]): Uint8Array => passed(writeManifest({ index: index++, position, time, body }));

  yield manifest({ part: "begin", format: LOG_FORMAT, version: LOG_FORMAT_VERSION, library: LIBRARY_VERSION, namespace, position, end, states: states.length } as ManifestRecord["body"]);
  for (const state of states) yield manifest({ part: "state", ...state } as ManifestRecord["body"]);
  let damaged = 0;
  for (let next = position; next < end; ) {
    const reply = await connection.call("exportRecords", [{ position: next, end }]);
    next = reply.nextPosition;
    records += reply.count;
    damaged += reply.damaged.length;
    if (reply.records.byteLength > 0) yield passed(reply.records);
  }
  yield writeManifest({ index, position: end, time, body: { part: "end", records, bytes, damaged } as ManifestRecord["body"], crc });
}

function specOf({ brokerName: _ours, ...spec }: TopicConfig): TopicSpec {
  return spec;
}

function slices<T>(list: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, at) => list.slice(at * length, (at + 1) * length));
}
