const POLYNOMIAL = 0xedb88320;

/** Eight tables of 256 words, one after the other; built on first use, because importing must cost nothing. */
let tables: Uint32Array | undefined;

function buildTables(): Uint32Array {
  const built = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    built[byte] = crc;
  }
  for (let at = 256; at < built.length; at++) {
    const previous = built[at - 256]!;
    built[at] = (previous >>> 8) ^ built[previous & 0xff]!;
  }
  return built;
}

/**
 * IEEE CRC-32 (that of zlib and java.util.zip.CRC32), unsigned.
 * `seed` is the CRC of what went before: `crc32(b, crc32(a))` is the CRC of a followed by b.
 *
 * A record's bodyCRC is this value `& 0x7fffffff` (RocketMQ, common/UtilAll.crc32).
 * Slice-by-8: https://sourceforge.net/projects/slicing-by-8/
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const t = (tables ??= buildTables());
  let crc = ~seed;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t[1792 + (crc & 0xff)]! ^
      t[1536 + ((crc >>> 8) & 0xff)]! ^
      t[1280 + ((crc >>> 16) & 0xff)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}
