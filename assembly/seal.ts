/** Rows of the log store: cutting the open log into chunks, and checking a chunk that was read. */
import { emptyLog, logStart, openBytes, position } from "./append";
import { crc32 } from "./crc32";
import {
  BLOCK_MAX_PAYLOAD, CHUNK_BAD_CRC, CHUNK_BAD_LENGTH, CHUNK_BAD_MAGIC, CHUNK_BAD_POSITION, CHUNK_BAD_VERSION, CHUNK_CRC_AT, CHUNK_ENDS, CHUNK_EPOCH_AT,
  CHUNK_FLAGS_AT, CHUNK_HEADER_BYTES, CHUNK_LENGTH_AT, CHUNK_MAGIC, CHUNK_MAX_PAYLOAD, CHUNK_POSITION_AT, CHUNK_STARTS,
  CHUNK_TRUNCATED, CHUNK_VERSION, CHUNK_VERSION_AT, TOTAL_SIZE, readI16, readI32, readI64, writeI16, writeI32, writeI64,
} from "./layout";

/** The header of the chunk that was cut last, and behind it the address of its payload. */
const CUT: usize = memory.data(36, 8);

let cutEpoch: i64 = 0;
let cutAt: usize = 0;
/** End of the long record that the cut is in. */
let longEnd: usize = 0;

/** Starts cutting the open log. It stays as it is until `sealed`, so a host that fails in between may start again. */
export function seal(epoch: f64): void {
  cutEpoch = <i64>epoch;
  cutAt = logStart();
  longEnd = cutAt;
}

/** Cuts one more chunk and returns the address of its header (the payload's address follows it); 0 when all is cut. */
export function cut(): usize {
  const end = logStart() + openBytes();
  if (cutAt == end) return 0;

  const payload = cutAt;
  // What is left goes into blocks as long as it fills them.
  const most = <i32>(end - payload) >= BLOCK_MAX_PAYLOAD ? BLOCK_MAX_PAYLOAD : CHUNK_MAX_PAYLOAD;
  let length: i32 = 0;
  let flags: i32 = 0;
  if (cutAt == longEnd) {
    flags = CHUNK_STARTS;
    while (payload + length < end) {
      const size = readI32(payload + length, TOTAL_SIZE);
      if (length + size > most) break;
      length += size;
    }
    longEnd = payload + (length ? length : readI32(payload, TOTAL_SIZE));
  }
  // A record that fits no row starts one of its own, and what comes after it starts another.
  if (!length) length = <i32>min<usize>(longEnd - payload, most);
  cutAt = payload + length;
  if (cutAt == longEnd) flags |= CHUNK_ENDS;

  writeI32(CUT, 0, CHUNK_MAGIC);
  writeI16(CUT, CHUNK_VERSION_AT, CHUNK_VERSION);
  writeI16(CUT, CHUNK_FLAGS_AT, flags);
  writeI64(CUT, CHUNK_EPOCH_AT, cutEpoch);
  writeI64(CUT, CHUNK_POSITION_AT, <i64>position() - <i64>(end - payload));
  writeI32(CUT, CHUNK_LENGTH_AT, length);
  writeI32(CUT, CHUNK_CRC_AT, chunkCrc(CUT, payload, length));
  store<u32>(CUT, <u32>payload, CHUNK_HEADER_BYTES);
  return CUT;
}

/** All chunks are with the host. */
export function sealed(): void {
  emptyLog();
}

/**
 * Why the `length` bytes at `row` are not the chunk of a position; 0 when they are. In this order, shared with the TypeScript twin:
 *
 *  1. shorter than a header                                          TRUNCATED
 *  2. magic                                                          BAD_MAGIC
 *  3. version                                                        BAD_VERSION
 *  4. payload empty or longer than a block may be                    BAD_LENGTH
 *  5. row shorter than header + payload                              TRUNCATED
 *  6. row longer than that                                           BAD_LENGTH
 *  7. CRC                                                            BAD_CRC
 *  8. a whole chunk, but of another position                         BAD_POSITION
 */
export function openChunk(row: usize, length: i32, at: f64): i32 {
  if (length < CHUNK_HEADER_BYTES) return CHUNK_TRUNCATED;
  if (readI32(row, 0) != CHUNK_MAGIC) return CHUNK_BAD_MAGIC;
  if (readI16(row, CHUNK_VERSION_AT) != CHUNK_VERSION) return CHUNK_BAD_VERSION;
  const payloadLength = readI32(row, CHUNK_LENGTH_AT);
  if (payloadLength < 1 || payloadLength > BLOCK_MAX_PAYLOAD) return CHUNK_BAD_LENGTH;
  const missing = CHUNK_HEADER_BYTES + payloadLength - length;
  if (missing > 0) return CHUNK_TRUNCATED;
  if (missing < 0) return CHUNK_BAD_LENGTH;
  if (readI32(row, CHUNK_CRC_AT) != chunkCrc(row, row + CHUNK_HEADER_BYTES, payloadLength)) return CHUNK_BAD_CRC;
  if (<f64>readI64(row, CHUNK_POSITION_AT) != at) return CHUNK_BAD_POSITION;
  return 0;
}

function chunkCrc(header: usize, payload: usize, length: i32): i32 {
  return <i32>crc32(payload, length, crc32(header, <i32>CHUNK_CRC_AT, 0));
}
