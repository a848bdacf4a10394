/**
 * Where things stand in records, chunks, entries and column tables. All but the tables are big-endian.
 * The byte tables are in src/model/record.ts and src/storage/indexer.ts; the twin tests hold this copy to them.
 */

// Records
export const RECORD_MAGIC: i32 = -626843481;
export const RECORD_FIXED_BYTES: i32 = 91;
export const RECORD_MIN_BYTES: i32 = 92;
export const MAX_BODY_BYTES: i32 = 4 * 1024 * 1024;
export const MAX_TOPIC_BYTES: i32 = 127;
export const MAX_PROPERTIES_BYTES: i32 = 32767;
export const MAX_RECORD_BYTES: i32 = RECORD_FIXED_BYTES + MAX_BODY_BYTES + MAX_TOPIC_BYTES + MAX_PROPERTIES_BYTES;
export const SYS_FLAG_IPV6: i32 = 0x10 | 0x20;
export const SYS_FLAG_ROLLBACK: i32 = 0x0c;
export const MAX_SAFE: i64 = (1 << 53) - 1;

export const TOTAL_SIZE: usize = 0;
export const MAGIC: usize = 4;
export const BODY_CRC: usize = 8;
export const QUEUE_ID: usize = 12;
export const QUEUE_OFFSET: usize = 20;
export const PHYSICAL_OFFSET: usize = 28;
export const SYS_FLAG: usize = 36;
export const STORE_TIMESTAMP: usize = 56;
export const STORE_HOST: usize = 64;
export const STORE_PORT: usize = 68;
export const BODY_LENGTH: usize = 84;
export const BODY: usize = 88;

// Record faults: 1 + index into RECORD_FAULTS, 0 = none
export const TRUNCATED: i32 = 1;
export const BAD_MAGIC: i32 = 2;
export const BAD_LENGTH: i32 = 3;
export const BAD_CRC: i32 = 4;
export const BAD_POSITION: i32 = 5;
export const BAD_TEXT: i32 = 6;
export const BAD_NUMBER: i32 = 7;

// Consume-queue entries
export const ENTRY_BYTES: usize = 20;
export const ENTRY_SIZE: usize = 8;
export const ENTRY_TAG_CODE: usize = 12;

// Rows of keys (keys.ts)
export const KEY_ROW_BYTES: usize = 24;
export const KEY_TEXT_HASH: usize = 4;
export const KEY_POSITION: usize = 8;
export const KEY_TIME: usize = 16;

// Entries of the key index (key-segment.ts)
export const INDEX_ENTRY_BYTES: usize = 20;
export const INDEX_POSITION: usize = 4;
export const INDEX_SECONDS: usize = 12;
export const INDEX_TEXT_HASH: usize = 16;

// Chunks
export const CHUNK_MAGIC: i32 = 0x544d5142;
export const CHUNK_VERSION: i32 = 1;
export const CHUNK_HEADER_BYTES: i32 = 32;
export const CHUNK_MAX_PAYLOAD: i32 = 60 * 1024 - CHUNK_HEADER_BYTES;
/** A row of a commit that fills it, or that merging has made of many. */
export const BLOCK_MAX_PAYLOAD: i32 = 1024 * 1024 - CHUNK_HEADER_BYTES;
export const CHUNK_STARTS: i32 = 1;
export const CHUNK_ENDS: i32 = 2;

export const CHUNK_VERSION_AT: usize = 4;
export const CHUNK_FLAGS_AT: usize = 6;
export const CHUNK_EPOCH_AT: usize = 8;
export const CHUNK_POSITION_AT: usize = 16;
export const CHUNK_LENGTH_AT: usize = 24;
export const CHUNK_CRC_AT: usize = 28;

// Chunk faults: 1 + index into CHUNK_FAULTS, 0 = none
export const CHUNK_TRUNCATED: i32 = 1;
export const CHUNK_BAD_MAGIC: i32 = 2;
export const CHUNK_BAD_VERSION: i32 = 3;
export const CHUNK_BAD_LENGTH: i32 = 4;
export const CHUNK_BAD_CRC: i32 = 5;
export const CHUNK_BAD_POSITION: i32 = 6;

// Column tables: a header of i32, then columns of `capacity` rows, little-endian for the host's typed arrays
export const TABLE_COUNT: usize = 0;
export const TABLE_CAPACITY: usize = 4;
export const TABLE_TOPICS: usize = 8;
export const TABLE_FAULT_AT: usize = 12;
export const TABLE_FAULT: usize = 16;
export const TABLE_HEADER_BYTES: usize = 24;
/** queueOffset 8, storeTimestamp 8, topicIndex 4, queueId 4, at 4, size 4, entry 20, distinct topics: at 4, length 4. */
export const TABLE_ROW_BYTES: usize = 60;

export function readI16(at: usize, offset: usize): i32 {
  return <i32>bswap<u16>(load<u16>(at + offset));
}

export function readI32(at: usize, offset: usize): i32 {
  return bswap<i32>(load<i32>(at + offset));
}

export function readI64(at: usize, offset: usize): i64 {
  return bswap<i64>(load<i64>(at + offset));
}

export function writeI16(at: usize, offset: usize, value: i32): void {
  store<u16>(at + offset, bswap<u16>(<u16>value));
}

export function writeI32(at: usize, offset: usize, value: i32): void {
  store<i32>(at + offset, bswap<i32>(value));
}

export function writeI64(at: usize, offset: usize, value: i64): void {
  store<i64>(at + offset, bswap<i64>(value));
}
