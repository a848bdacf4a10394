import { readFile } from "node:fs/promises";
import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ICONS, iconUrl, pixelsOf, png } from "../support/icons.mjs";

describe("the page's icons", () => {
  for (const icon of ICONS) {
    test(`${icon.file} is what npm run generate makes of the drawing`, async () => {
      const made = await pixelsOf(icon);
      const there = pixelsIn(await readFile(iconUrl(icon)), icon.size);
      expect(there.equals(made)).toBe(true);
      // Control: one pixel of another colour is found.
      made[made.length / 2] = 255 - made[made.length / 2]!;
      expect(there.equals(made)).toBe(false);
      expect(pixelsIn(png(made, icon.size), icon.size).equals(made)).toBe(true);
    });
  }

  test("a maskable icon has no transparent corner, the others have", async () => {
    for (const icon of ICONS) expect((await pixelsOf({ ...icon, size: 32 }))[3]).toBe(icon.isMaskable ? 255 : 0);
  });
});

/** Compressed bytes may differ by the version of zlib; what they mean may not. */
function pixelsIn(file: Buffer, size: number): Buffer {
  expect([file.readUInt32BE(16), file.readUInt32BE(20)]).toEqual([size, size]);
  const length = file.readUInt32BE(33);
  const rows = inflateSync(file.subarray(41, 41 + length));
  const stride = size * 4;
  return Buffer.concat(Array.from({ length: size }, (_, y) => rows.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1))));
}
