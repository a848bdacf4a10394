/**
 * CRC-32 (IEEE 802.3, reflected) sixteen bytes a step. Scalar on purpose: a SIMD version measured half as fast.
 * The tables are built at start-up, because 16 KiB of them would be most of the module.
 */
const POLYNOMIAL: u32 = 0xedb88320;
const SLICES: i32 = 16;
const SLICE_BYTES: usize = 1024;
const TABLES: usize = memory.data(16384, 16);

for (let byte: u32 = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  store<u32>(TABLES + (byte << 2), crc);
}
for (let byte: u32 = 0; byte < 256; byte++) {
  let crc = load<u32>(TABLES + (byte << 2));
  for (let slice = 1; slice < SLICES; slice++) {
    crc = (crc >>> 8) ^ load<u32>(TABLES + ((crc & 0xff) << 2));
    store<u32>(TABLES + <usize>slice * SLICE_BYTES + (byte << 2), crc);
  }
}

/** The four lookups for one little-endian word whose last byte is `slice` bytes before the end of the step. */
function fold(word: u32, slice: usize): u32 {
  return (
    load<u32>(TABLES + (slice + 3) * SLICE_BYTES + ((word & 0xff) << 2)) ^
    load<u32>(TABLES + (slice + 2) * SLICE_BYTES + (((word >>> 8) & 0xff) << 2)) ^
    load<u32>(TABLES + (slice + 1) * SLICE_BYTES + (((word >>> 16) & 0xff) << 2)) ^
    load<u32>(TABLES + slice * SLICE_BYTES + ((word >>> 24) << 2))
  );
}

/** `seed` is an earlier result to go on from, or 0. */
export function crc32(at: usize, length: i32, seed: u32): u32 {
  const end = at + length;
  let crc = ~seed;
  while (end - at >= 16) {
    crc =
      fold(load<u32>(at) ^ crc, 12) ^ fold(load<u32>(at, 4), 8) ^ fold(load<u32>(at, 8), 4) ^ fold(load<u32>(at, 12), 0);
    at += 16;
  }
  while (at < end) {
    crc = (crc >>> 8) ^ load<u32>(TABLES + (((crc ^ load<u8>(at)) & 0xff) << 2));
    at++;
  }
  return ~crc;
}
