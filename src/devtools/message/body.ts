import type { BodyKind } from "../../index.ts";
import { formatJson } from "./format-json.ts";
import { hexDump } from "./hex.ts";

export type BodyViewName = "text" | "json" | "hex";
export const BODY_VIEWS: readonly BodyViewName[] = ["text", "json", "hex"];

/** How a body is shown unless somebody wants it otherwise. */
export function ownView(kind: BodyKind): BodyViewName {
  return kind === "bytes" ? "hex" : kind;
}

/** A body, written in one of the three ways. */
export interface WrittenBody {
  /** How much there is: characters, or bytes where it is written as hex. */
  readonly length: number;
  /** What went wrong: it is no UTF-8, or no JSON. */
  readonly problem?: "notUtf8" | "notJson";
  /** The first so much of it, in pieces. */
  pieces(shown: number): string[];
}

/** A piece is laid out only when it comes into sight. */
const PIECE = 8192;

export function writeBody(body: Uint8Array, view: BodyViewName): WrittenBody {
  if (view === "hex") return { length: body.byteLength, pieces: (shown) => hexPieces(body.subarray(0, shown)) };
  const { text, isUtf8 } = textOf(body);
  const problem = isUtf8 ? {} : { problem: "notUtf8" as const };
  if (view === "text") return { length: text.length, ...problem, pieces: (shown) => textPieces(text, shown) };
  const formatted = isUtf8 ? formatJson(text) : null;
  if (formatted === null) return { length: text.length, problem: "notJson", pieces: (shown) => textPieces(text, shown) };
  return { length: formatted.length, pieces: (shown) => textPieces(formatted, shown) };
}

export function textOf(body: Uint8Array): { text: string; isUtf8: boolean } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body), isUtf8: true };
  } catch {
    return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(body), isUtf8: false };
  }
}

function hexPieces(bytes: Uint8Array): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += PIECE / 4) pieces.push(hexDump(bytes.subarray(at, at + PIECE / 4), at));
  return pieces;
}

/** Cut at the ends of lines where there are some. */
function textPieces(text: string, shown: number): string[] {
  const last = shown >= text.length ? text.length : whole(text, shown);
  const pieces: string[] = [];
  for (let at = 0; at < last; ) {
    const line = text.lastIndexOf("\n", at + PIECE);
    const end = at + PIECE >= last ? last : line > at ? line + 1 : whole(text, at + PIECE);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

/** Not within a character of two units. */
function whole(text: string, at: number): number {
  return (text.codePointAt(at - 1) ?? 0) > 0xffff ? at - 1 : at;
}
