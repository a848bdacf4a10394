import { finishOf } from "../../src/model/finish.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { RECORD } from "../../src/model/record.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { concat } from "../../src/platform/bytes.ts";
import type { LogRow } from "../../src/storage/block-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import type { Stored } from "../support/history.ts";

const indexer = new TsIndexer();

export interface SimRecord {
  message: MessageExt;
  /** The group and the place that it takes the place of, as text; null = it is no copy. */
  finishes: string | null;
}

/** The records of whole rows, damaged ones left out. A decoder of its own: it shares nothing with the broker's recovery but the record's layout. */
export function recordsOf(rows: LogRow[]): SimRecord[] {
  const records: SimRecord[] = [];
  let open: { end: number; parts: Uint8Array[] } | null = null;
  for (const { position, bytes } of rows) {
    const chunk = indexer.openChunk(bytes, position);
    if (!chunk.ok) {
      open = null;
      continue;
    }
    if (chunk.starts) open = { end: position, parts: [] };
    if (open === null || open.end !== position) continue;
    open.parts.push(chunk.payload);
    open.end += chunk.payload.byteLength;
    if (!chunk.ends) continue;
    records.push(...withFinishes(concat(open.parts, open.parts.reduce((sum, part) => sum + part.byteLength, 0))));
    open = null;
  }
  return records;
}

function withFinishes(bytes: Uint8Array): SimRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  return decodeRecords(bytes, "broker-a").map((message) => {
    const finish = finishOf(bytes, at);
    at += view.getInt32(at + RECORD.totalSize);
    return { message, finishes: finish === null ? null : `${finish.group} ${finish.topic}:${finish.queueId}:${finish.queueOffset}` };
  });
}

export function storedOf(message: MessageExt): Stored {
  const { topic, queueId, queueOffset, msgId, tags } = message;
  return { topic, queueId, queueOffset, msgId, content: `${tags ?? ""} ${contentOf(message)}` };
}

export const WEIGHT = 0x78;

/** A body is what it is called, and weight behind it. */
export function bodyOf(content: string, weight: number): string {
  return `${content} ${String.fromCharCode(WEIGHT).repeat(weight)}`;
}

/** What a body is called; all of it, when it is not what `bodyOf` makes. */
function contentOf(message: MessageExt): string {
  const text = message.text();
  return /^(\S+) x*$/.exec(text)?.[1] ?? text;
}
