/** How long a download may take to begin, ms. An address that stays would keep the bytes in memory. */
const BEGINS_WITHIN = 60_000;

/** Gives a file to who looks at the page. */
export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), BEGINS_WITHIN);
}
