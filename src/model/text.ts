const encoder = new TextEncoder();

/**
 * False for text with a lone surrogate, half of a character: UTF-8 has no bytes for it, and TextEncoder would put U+FFFD in its
 * place without a word. (`String.prototype.isWellFormed` is younger than some browsers that TabMQ runs in.)
 */
export function isWellFormed(text: string): boolean {
  // In a Unicode pattern a pair is one character, so only halves match.
  return !/[\ud800-\udfff]/u.test(text);
}

/** Bytes of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // Half of a pair: both together are four bytes, and two units.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Writes well-formed text at `at` as UTF-8; returns its end. Short ASCII text is written faster here than by an encoder outside the engine. */
export function writeUtf8(text: string, bytes: Uint8Array, at: number, byteLength: number): number {
  if (byteLength !== text.length) encoder.encodeInto(text, bytes.subarray(at, at + byteLength));
  else for (let next = 0; next < byteLength; next++) bytes[at + next] = text.charCodeAt(next);
  return at + byteLength;
}
