import { download } from "../../download.ts";

/** What Chromium has to write into a file that somebody picks. */
interface FilePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<{ createWritable(): Promise<WritableStream<Uint8Array>> }>;
}

/** Small pieces become one blob of so many bytes, which the browser may keep on disk. */
const PIECE_BYTES = 8 * 2 ** 20;

/** Where an exported log goes: a file that is written as it comes, or where there is none, a download. Null = nobody has picked a file. */
export async function openSink(name: string): Promise<WritableStream<Uint8Array> | null> {
  const { showSaveFilePicker } = globalThis as FilePicker;
  if (showSaveFilePicker === undefined) return downloadSink(name);
  try {
    const file = await showSaveFilePicker.call(globalThis, { suggestedName: name });
    return await file.createWritable();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return null;
    // A frame of another origin may not ask.
    if (error instanceof DOMException && error.name === "SecurityError") return downloadSink(name);
    throw error;
  }
}

function downloadSink(name: string): WritableStream<Uint8Array> {
  let [pieces, waiting, bytes]: [Blob[], Uint8Array<ArrayBuffer>[], number] = [[], [], 0];
  return new WritableStream<Uint8Array>({
    write(chunk) {
      waiting.push(chunk as Uint8Array<ArrayBuffer>);
      bytes += chunk.byteLength;
      if (bytes < PIECE_BYTES) return;
      pieces.push(new Blob(waiting));
      [waiting, bytes] = [[], 0];
    },
    close() {
      download(new Blob([...pieces, ...waiting], { type: "application/octet-stream" }), name);
    },
    abort() {
      [pieces, waiting] = [[], []];
    },
  });
}
