/**
 * False for text with a lone surrogate, half of a character: UTF-8 has no bytes for it, and TextEncoder would put U+FFFD in its
 * place without a word. (`String.prototype.isWellFormed` is younger than some browsers that TabMQ runs in.)
 */
export function isWellFormed(text: string): boolean {
  // In a Unicode pattern a pair is one character, so only halves match.
  return !/[\ud800-\udfff]/u.test(text);
}
