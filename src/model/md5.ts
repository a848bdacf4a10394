/** The shifts of the four rounds; each four are used in turn. */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
/** floor(2^32 x |sin(i + 1)|) */
const SINES = Array.from({ length: 64 }, (_, at) => Math.floor(2 ** 32 * Math.abs(Math.sin(at + 1))));

/** The MD5 digest of the text's UTF-8 bytes (RFC 1321). For placing things, as RocketMQ does; it protects nothing. */
export function md5(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(((bytes.length + 72) >>> 6) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, bytes.length * 8, true);
  const sums = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < padded.length; block += 64) {
    let a = sums[0]!;
    let b = sums[1]!;
    let c = sums[2]!;
    let d = sums[3]!;
    for (let at = 0; at < 64; at++) {
      const round = at >>> 4;
      const mixed = round === 0 ? (b & c) | (~b & d) : round === 1 ? (d & b) | (~d & c) : round === 2 ? b ^ c ^ d : c ^ (b | ~d);
      const word = (round === 0 ? at : round === 1 ? 5 * at + 1 : round === 2 ? 3 * at + 5 : 7 * at) & 15;
      const sum = (a + mixed + SINES[at]! + view.getInt32(block + word * 4, true)) | 0;
      const shift = SHIFTS[round * 4 + (at & 3)]!;
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    for (const [at, value] of [a, b, c, d].entries()) sums[at] = (sums[at]! + value) | 0;
  }
  const digest = new DataView(new ArrayBuffer(16));
  sums.forEach((value, at) => digest.setInt32(at * 4, value, true));
  return new Uint8Array(digest.buffer);
}
