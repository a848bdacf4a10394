/** Deeper than this is not indented any further: a body of nothing but brackets would become as long as the square of its length. */
const MOST_INDENT = 40;
const SPACE = /\s*/y;
const WORD = /[^\s"{}[\],:]+/y;

/**
 * JSON on several lines; null when it is none. Only white space changes: numbers that JavaScript would round, and names
 * that stand twice, stay as they were sent.
 */
export function formatJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const parts: string[] = [];
  let depth = 0;
  const newLine = (): void => void parts.push("\n", "  ".repeat(Math.min(depth, MOST_INDENT)));
  for (let at = skip(SPACE, text, 0); at < text.length; at = skip(SPACE, text, at)) {
    const sign = text[at]!;
    if (sign === "{" || sign === "[") {
      const inside = skip(SPACE, text, at + 1);
      const isEmpty = text[inside] === "}" || text[inside] === "]";
      parts.push(isEmpty ? sign + text[inside]! : sign);
      at = isEmpty ? inside + 1 : at + 1;
      if (isEmpty) continue;
      depth++;
      newLine();
    } else if (sign === "}" || sign === "]") {
      depth--;
      newLine();
      parts.push(sign);
      at++;
    } else if (sign === ",") {
      parts.push(sign);
      newLine();
      at++;
    } else if (sign === ":") {
      parts.push(": ");
      at++;
    } else {
      const end = sign === '"' ? endOfString(text, at) : skip(WORD, text, at);
      parts.push(text.slice(at, end));
      at = end;
    }
  }
  return parts.join("");
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Behind the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}
