import { describe, expect, test } from "vitest";
import { writeInt64 } from "../../src/model/record.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { isEncrypted, type Place, plainLength, RowCipher, SEAL_BYTES } from "../../src/storage/cipher.ts";
import { newKey } from "../support/keys.ts";

const key = await newKey();
const place: Place = { namespace: "shop", salt: new Uint8Array(16).fill(1), epoch: 3, position: 4096, length: 100 };
const plain = Uint8Array.from({ length: place.length }, (_, at) => at + 1);

type Forgotten = "namespace" | "salt" | "epoch" | "position";

/** A cipher at this place; what it forgets of the place, its rows are not bound to. */
function cipherAt({ namespace, salt }: Place, forgotten: Forgotten | null = null, random = systemRandom): RowCipher {
  class Forgetful extends RowCipher {
    protected override binding(given: Place): Uint8Array {
      const nowhere: Place = { namespace: "", salt: new Uint8Array(16), epoch: 0, position: 0, length: given.length };
      return super.binding(forgotten === null ? given : { ...given, [forgotten]: nowhere[forgotten] });
    }
  }
  return new Forgetful(key, namespace, salt, random);
}

const seal = (cipher: RowCipher): Promise<Uint8Array> => cipher.seal({ position: place.position, bytes: plain }, place.epoch);

/** The row put elsewhere by somebody who knows the format: its header says what the reader expects. */
function moved(row: Uint8Array, { epoch, position }: Place): Uint8Array {
  const bytes = row.slice();
  writeInt64(new DataView(bytes.buffer), 8, epoch);
  writeInt64(new DataView(bytes.buffer), 16, position);
  return bytes;
}

describe("a sealed row", () => {
  test("can be opened where it was sealed, and tells its length, epoch and position to anybody", async () => {
    const row = await seal(cipherAt(place));
    expect(await cipherAt(place).open({ position: place.position, bytes: row })).toEqual(plain);
    expect([isEncrypted(row), row.byteLength, plainLength(row)]).toEqual([true, plain.byteLength + SEAL_BYTES, plain.byteLength]);
    const view = new DataView(row.buffer);
    expect([view.getBigUint64(8), view.getBigUint64(16)]).toEqual([3n, 4096n]);
    expect([isEncrypted(plain), plainLength(plain)]).toEqual([false, plain.byteLength]);
  });

  test("does not show what is in it", async () => {
    const text = "the secret of the shop";
    const row = await cipherAt(place).seal({ position: 0, bytes: new TextEncoder().encode(text) }, 1);
    expect(new TextDecoder().decode(row)).not.toContain("secret");
  });

  const elsewhere: [Forgotten, Place][] = [
    ["namespace", { ...place, namespace: "other" }],
    ["salt", { ...place, salt: new Uint8Array(16).fill(2) }],
    ["epoch", { ...place, epoch: 4 }],
    ["position", { ...place, position: 8192 }],
  ];
  describe.each(elsewhere)("of another %s", (part, there) => {
    const open = async (forgotten: Forgotten | null): Promise<Uint8Array | null> => {
      const row = await seal(cipherAt(place, forgotten));
      return cipherAt(there, forgotten).open({ position: there.position, bytes: moved(row, there) });
    };
    test("is not opened", async () => expect(await open(null)).toBeNull());
    test("control: it is, when rows are not bound to it", async () => expect(await open(part)).toEqual(plain));
  });

  test("is not opened with another key", async () => {
    const other = new RowCipher(await newKey(), place.namespace, place.salt, systemRandom);
    expect(await other.open({ position: place.position, bytes: await seal(cipherAt(place)) })).toBeNull();
  });

  test.each([0, 7])("with bit %d of any byte flipped is not opened", async (bit) => {
    const row = await seal(cipherAt(place));
    for (let at = 0; at < row.byteLength; at++) {
      const changed = row.slice();
      changed[at]! ^= 1 << bit;
      expect([at, await cipherAt(place).open({ position: place.position, bytes: changed })]).toEqual([at, null]);
    }
  });

  test("control: with encryption alone, nobody notices", async () => {
    const raw = systemRandom.bytes(32);
    const [gcm, ctr] = await Promise.all(["AES-GCM", "AES-CTR"].map((name) => crypto.subtle.importKey("raw", raw as Uint8Array<ArrayBuffer>, name, false, ["encrypt", "decrypt"])));
    const row = await seal(new RowCipher(gcm!, place.namespace, place.salt, systemRandom));
    row[40]! ^= 1;
    // GCM is CTR that begins at 2, and a tag; here the tag is not looked at.
    const counter = new Uint8Array([...row.subarray(24, 36), 0, 0, 0, 2]);
    const opened = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CTR", counter, length: 32 }, ctr!, row.slice(36, -16)));
    expect(opened).toEqual(plain.map((byte, at) => (at === 4 ? byte ^ 1 : byte)));
  });

  test("cut at any length is not opened", async () => {
    const row = await seal(cipherAt(place));
    for (let length = 0; length < row.byteLength; length++) {
      expect(await cipherAt(place).open({ position: place.position, bytes: row.slice(0, length) })).toBeNull();
    }
  });

  test("has a nonce of its own, also when it is the same row again", async () => {
    const nonces = async (random = systemRandom): Promise<number> => {
      const rows = await Promise.all(Array.from({ length: 1000 }, () => seal(cipherAt(place, null, random))));
      return new Set(rows.map((row) => row.subarray(24, 36).toString())).size;
    };
    expect(await nonces()).toBe(1000);
    // Control: the test sees the nonces.
    expect(await nonces({ bytes: (count) => new Uint8Array(count) })).toBe(1);
  });
});
