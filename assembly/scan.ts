/** Walks record bytes into a column table (layout.ts), up to the first fault. */
import { crc32 } from "./crc32";
import { keysAt as keyWords, keysEnd as keyWordsEnd, readProperties, tagCode, uniqueAt, uniqueEnd, writeEntry } from "./entries";
import { hasKeys, topicHash, writeKeys } from "./keys";
import {
  BAD_CRC, BAD_LENGTH, BAD_MAGIC, BAD_NUMBER, BAD_POSITION, BAD_TEXT, BODY, BODY_CRC, BODY_LENGTH, ENTRY_BYTES, MAGIC,
  MAX_BODY_BYTES, MAX_PROPERTIES_BYTES, MAX_RECORD_BYTES, MAX_SAFE, MAX_TOPIC_BYTES, PHYSICAL_OFFSET, QUEUE_ID, QUEUE_OFFSET,
  RECORD_FIXED_BYTES, RECORD_MAGIC, RECORD_MIN_BYTES, STORE_TIMESTAMP, SYS_FLAG, SYS_FLAG_IPV6, TABLE_CAPACITY, TABLE_COUNT,
  TABLE_FAULT, TABLE_FAULT_AT, TABLE_HEADER_BYTES, TABLE_ROW_BYTES, TABLE_TOPICS, TOTAL_SIZE, TRUNCATED, readI16, readI32, readI64,
} from "./layout";
import { align8, reserve } from "./memory";
import { isUtf8 } from "./utf8";

/**
 * Why the `left` bytes at `at` do not begin with a record; 0 when they do. `position` is where the record has to believe it
 * stands; negative when it is not stamped yet. In this order, shared with the TypeScript twin:
 *
 *  1. fewer than RECORD_MIN_BYTES left                                       TRUNCATED
 *  2. totalSize below RECORD_MIN_BYTES or above MAX_RECORD_BYTES             BAD_LENGTH
 *  3. totalSize beyond the bytes left                                        TRUNCATED
 *  4. magic                                                                  BAD_MAGIC
 *  5. an IPv6 bit in sysFlag; a part beyond its limit; the parts' sum        BAD_LENGTH
 *  6. queueId negative; queueOffset negative or above 2^53 - 1               BAD_NUMBER
 *  7. physicalOffset                                                         BAD_POSITION
 *  8. bodyCRC is not the body's CRC-32 without its highest bit               BAD_CRC
 *  9. UTF-8 of topic and properties                                          BAD_TEXT
 */
function faultOf(at: usize, left: i32, position: i64): i32 {
  if (left < RECORD_MIN_BYTES) return TRUNCATED;
  const size = readI32(at, TOTAL_SIZE);
  if (size < RECORD_MIN_BYTES || size > MAX_RECORD_BYTES) return BAD_LENGTH;
  if (size > left) return TRUNCATED;
  if (readI32(at, MAGIC) != RECORD_MAGIC) return BAD_MAGIC;

  if ((readI32(at, SYS_FLAG) & SYS_FLAG_IPV6) != 0) return BAD_LENGTH;
  const bodyLength = readI32(at, BODY_LENGTH);
  if (bodyLength < 0 || bodyLength > MAX_BODY_BYTES || bodyLength > size - RECORD_MIN_BYTES) return BAD_LENGTH;
  const topic = at + BODY + bodyLength + 1;
  const topicLength = <i32>load<u8>(topic - 1);
  if (topicLength < 1 || topicLength > MAX_TOPIC_BYTES) return BAD_LENGTH;
  const propertiesLength = size - RECORD_FIXED_BYTES - bodyLength - topicLength;
  if (propertiesLength < 0 || propertiesLength > MAX_PROPERTIES_BYTES) return BAD_LENGTH;
  if (readI16(topic, topicLength) != propertiesLength) return BAD_LENGTH;

  if (readI32(at, QUEUE_ID) < 0) return BAD_NUMBER;
  if (<u64>readI64(at, QUEUE_OFFSET) > <u64>MAX_SAFE) return BAD_NUMBER;
  if (position >= 0 && readI64(at, PHYSICAL_OFFSET) != position) return BAD_POSITION;

  const bodyCrc = crc32(at + BODY, bodyLength, 0) & 0x7fffffff;
  if (<u32>readI32(at, BODY_CRC) != bodyCrc) return BAD_CRC;

  const properties = topic + topicLength + 2;
  if (!isUtf8(topic, topic + topicLength) || !isUtf8(properties, at + size)) return BAD_TEXT;
  return 0;
}

/** How many rows a table needs: follows plausible totalSizes, which every whole record has. */
function countAtMost(at: usize, length: i32): i32 {
  let count = 0;
  while (length >= RECORD_MIN_BYTES) {
    const size = readI32(at, TOTAL_SIZE);
    if (size < RECORD_MIN_BYTES || size > length) break;
    at += size;
    length -= size;
    count++;
  }
  return count;
}

/** FNV-1a. */
function hashOf(at: usize, length: i32): u32 {
  let hash: u32 = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = (hash ^ load<u8>(at + i)) * 0x01000193;
  return hash;
}

/** The key rows of the last scan, behind its table. */
export let keysAt: usize = 0;
export let keysEnd: usize = 0;

/**
 * Writes the table of the `length` bytes at `start` behind them and returns its address.
 * `base` is the position of the first byte; `stamped` = the records must know their positions.
 */
export function scanRecords(start: usize, length: i32, base: i64, stamped: bool): usize {
  const capacity = <usize>countAtMost(start, length);
  let slots: usize = 2;
  while (slots < capacity * 2) slots <<= 1;

  const table = align8(start + length);
  const queueOffset = table + TABLE_HEADER_BYTES;
  const storeTimestamp = queueOffset + (capacity << 3);
  const topicIndex = storeTimestamp + (capacity << 3);
  const queueId = topicIndex + (capacity << 2);
  const recordAt = queueId + (capacity << 2);
  const recordSize = recordAt + (capacity << 2);
  const entries = recordSize + (capacity << 2);
  const topicAt = entries + capacity * ENTRY_BYTES;
  const topicBytes = topicAt + (capacity << 2);
  /** Hash slots of the distinct topics: their number + 1, 0 = free. */
  const topicSlots = table + TABLE_HEADER_BYTES + capacity * TABLE_ROW_BYTES;
  keysAt = topicSlots + (slots << 2);
  keysEnd = keysAt;
  reserve(keysAt);
  memory.fill(topicSlots, 0, slots << 2);

  let at: i32 = 0;
  let row: usize = 0;
  let topics: i32 = 0;
  let lastTopic: i32 = -1;
  let lastTopicHash: i32 = 0;
  let fault: i32 = 0;
  while (at < length) {
    const record = start + at;
    const position = base + at;
    fault = faultOf(record, length - at, stamped ? position : -1);
    if (fault) break;

    const size = readI32(record, TOTAL_SIZE);
    const topic = record + BODY + readI32(record, BODY_LENGTH) + 1;
    const topicLength = <i32>load<u8>(topic - 1);
    // Frames mostly carry runs of one topic.
    if (lastTopic < 0 || !isTopic(start, topicAt, topicBytes, lastTopic, topic, topicLength)) {
      let slot = <usize>hashOf(topic, topicLength) & (slots - 1);
      while (true) {
        lastTopic = load<i32>(topicSlots + (slot << 2)) - 1;
        if (lastTopic < 0) {
          lastTopic = topics++;
          store<i32>(topicSlots + (slot << 2), topics);
          store<i32>(topicAt + ((<usize>lastTopic) << 2), <i32>(topic - start));
          store<i32>(topicBytes + ((<usize>lastTopic) << 2), topicLength);
          break;
        }
        if (isTopic(start, topicAt, topicBytes, lastTopic, topic, topicLength)) break;
        slot = (slot + 1) & (slots - 1);
      }
      lastTopicHash = topicHash(topic, topic + topicLength);
    }

    store<f64>(queueOffset + (row << 3), <f64>readI64(record, QUEUE_OFFSET));
    store<f64>(storeTimestamp + (row << 3), <f64>readI64(record, STORE_TIMESTAMP));
    store<i32>(topicIndex + (row << 2), lastTopic);
    store<i32>(queueId + (row << 2), readI32(record, QUEUE_ID));
    store<i32>(recordAt + (row << 2), at);
    store<i32>(recordSize + (row << 2), size);
    readProperties(topic + topicLength + 2, record + size);
    writeEntry(entries + row * ENTRY_BYTES, position, size, tagCode(topic, topicLength));
    if (hasKeys(record)) {
      const time = readI64(record, STORE_TIMESTAMP);
      keysEnd = writeKeys(keysEnd, uniqueAt, uniqueEnd, keyWords, keyWordsEnd, lastTopicHash, position, time);
    }
    row++;
    at += size;
  }

  store<i32>(table, <i32>row, TABLE_COUNT);
  store<i32>(table, <i32>capacity, TABLE_CAPACITY);
  store<i32>(table, topics, TABLE_TOPICS);
  store<i32>(table, at, TABLE_FAULT_AT);
  store<i32>(table, fault, TABLE_FAULT);
  return table;
}

function isTopic(start: usize, topicAt: usize, topicBytes: usize, known: i32, topic: usize, length: i32): bool {
  const column = (<usize>known) << 2;
  return (
    load<i32>(topicBytes + column) == length &&
    memory.compare(start + load<i32>(topicAt + column), topic, <usize>length) == 0
  );
}
