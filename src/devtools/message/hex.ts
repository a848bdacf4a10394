const BYTES_PER_LINE = 16;

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** Bytes in one line. */
export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, hexByte).join(" ");
}

/** As `hexdump -C` writes it: where, sixteen bytes, the same as ASCII. `from`: where the first of them stands. */
export function hexDump(bytes: Uint8Array, from = 0): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += BYTES_PER_LINE) {
    const line = bytes.subarray(at, at + BYTES_PER_LINE);
    let ascii = "";
    for (const byte of line) ascii += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
    lines.push(`${(from + at).toString(16).padStart(8, "0")}  ${hexBytes(line).padEnd(BYTES_PER_LINE * 3 - 1)}  ${ascii}`);
  }
  return lines.join("\n");
}
