import asc from "assemblyscript/asc";
import { describe, expect, test } from "vitest";
import { WasmFilter } from "../../src/broker/wasm-filter.ts";
import { FUEL, meterModule } from "../../src/filter/wasm-meter.ts";
import { MessageSelector } from "../../src/index.ts";
import { MAX_FILTER_FUEL, MAX_FILTER_MODULE_BYTES, MAX_FILTER_PAGES, MAX_FILTER_TABLE, MAX_RECORD_BYTES } from "../../src/model/limits.ts";
import {
  constant, counting, EVERYTHING, FILLING, GROWING, I32, LOOPING, MEASURING, RECURSIVE, section, TAGGED_A, TRAPPING, unsigned, wasmModule,
} from "../support/wasm-filters.ts";

const END = 0x0b;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text.padStart(300));
const refused = { code: "SUBSCRIPTION_PARSE_FAILED", field: "bytes", position: expect.any(Number) };

/** The module as it is, without a meter: the control. */
async function bare(module: Uint8Array<ArrayBuffer>): Promise<(pointer: number, length: number) => number> {
  const { instance } = await WebAssembly.instantiate(module, {});
  return instance.exports.matches as (pointer: number, length: number) => number;
}

describe("what a filter sees and says", () => {
  test("the record, whole, at the pointer", async () => {
    const filter = await WasmFilter.load(TAGGED_A);
    expect(filter.matches(bytes("TAGS\u0001a\u0002"))).toBe(true);
    expect(filter.matches(bytes("TAGS\u0001b\u0002"))).toBe(false);
    expect(filter.failure).toBeNull();
  });

  test("the longest record there can be", async () => {
    const record = new Uint8Array(MAX_RECORD_BYTES);
    record.set(bytes("TAGS\u0001a\u0002"), record.length - 300);
    const filter = await WasmFilter.load(TAGGED_A);
    expect([filter.matches(record), filter.matches(bytes("TAGS\u0001b\u0002")), filter.failure]).toEqual([true, false, null]);
  });

  test("its memory is as large as it was declared, also with a record behind it", async () => {
    for (const [module, unmetered] of [[GROWING, 1], [MEASURING, 3]] as const) {
      // Control: on its own, the one gets its pages and both see what they have.
      expect((await bare(module))(0, 0)).toBe(unmetered);
      const { instance } = await WebAssembly.instantiate(meterModule(module).bytes, {});
      (instance.exports.memory as WebAssembly.Memory).grow(5);
      expect((instance.exports.matches as () => number)()).toBe(module === GROWING ? -1 : 3);
    }
  });

  test("a module out of a compiler, with classes, strings and bulk copies", async () => {
    const source = `
      class Word { constructor(public at: usize, public length: i32) {} }
      export function matches(pointer: usize, length: i32): i32 {
        const wanted = String.UTF8.encode("region");
        const copy = heap.alloc(length);
        memory.copy(copy, pointer, length);
        const word = new Word(changetype<usize>(wanted), wanted.byteLength);
        for (let at: usize = copy; at + word.length <= copy + length; at++) {
          if (memory.compare(at, word.at, word.length) == 0) return 1;
        }
        return 0;
      }
      function stop(message: string | null, file: string | null, line: u32, column: u32): void { unreachable(); }`;
    let module: Uint8Array | undefined;
    const flags = ["--runtime", "stub", "--use", "abort=filter/stop", "--initialMemory", "2", "-O2"];
    const { error, stderr } = await asc.main(["filter.ts", "--outFile", "filter.wasm", ...flags], {
      readFile: (name) => (name === "filter.ts" ? source : null),
      writeFile: (_name, contents) => void (module = contents as Uint8Array),
      listFiles: () => [],
    });
    expect([error, stderr.toString()]).toEqual([null, ""]);
    const filter = await WasmFilter.load(Uint8Array.from(module!));
    expect([filter.matches(bytes("region\u0001eu\u0002")), filter.matches(bytes("religion")), filter.failure]).toEqual([true, false, null]);
  });

  test("what is wrong with a module is told before it runs", async () => {
    const cases: [string, Uint8Array<ArrayBuffer>][] = [
      ["no module", new Uint8Array(8)],
      ["cut off", TAGGED_A.slice(0, -3)],
      ["64-bit parameters", wasmModule({ code: [...constant(1), END], type: [0x60, 2, 0x7e, 0x7e, 1, I32] })],
      ["no result", wasmModule({ code: [END], type: [0x60, 2, I32, I32, 0] })],
      ["hidden memory", wasmModule({ code: [...constant(1), END], exportMemory: false })],
      ["much memory", wasmModule({ code: [...constant(1), END], pages: MAX_FILTER_PAGES + 1 })],
      ["many tables", wasmModule({ code: [...constant(1), END], tables: [[0x70, 0, 1], [0x70, 0, 1]] })],
      ["a large table", wasmModule({ code: [...constant(1), END], tables: [[0x70, 0, ...unsigned(MAX_FILTER_TABLE + 1)]] })],
      ["a shared memory", wasmModule({ code: [...constant(1), END], memoryFlags: 3, maxPages: 2 })],
      ["vectors", wasmModule({ code: [0xfd, 12, ...new Uint8Array(16), 0x1a, ...constant(1), END] })],
      ["references", wasmModule({ code: [0x02, 0x70, 0xd0, 0x70, END, 0x1a, ...constant(1), END] })],
      ["references in locals", wasmModule({ code: [...constant(1), END], localTypes: [0x70] })],
      ["a table's instructions", wasmModule({ code: [...constant(0), 0x25, 0, 0x1a, ...constant(1), END] })],
      ["our global", wasmModule({ code: [...constant(1), 0x24, 0, ...constant(1), END] })],
    ];
    for (const [name, module] of cases) {
      const outcome = await WasmFilter.load(module).then(() => ({}), (error: unknown) => error);
      expect(outcome, name).toMatchObject(refused);
    }
    const importing = wasmModule({ code: [...constant(1), END] });
    const [header, rest] = [importing.slice(0, 8), importing.slice(8)];
    const types = section(1, [1, 0x60, 2, I32, I32, 1, I32]);
    const imports = section(2, [1, 1, 0x65, 1, 0x66, 0, 0]);
    const withImport = Uint8Array.from([...header, ...types, ...imports, ...rest.slice(types.length)]);
    await expect(WasmFilter.load(withImport)).rejects.toMatchObject({ ...refused, message: expect.stringContaining("imports") });
    expect(() => MessageSelector.byWasm(new Uint8Array(MAX_FILTER_MODULE_BYTES + 1))).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED" }));
    expect(() => MessageSelector.byWasm("x" as never)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
  });

  test("where WebAssembly is forbidden", async () => {
    const { compile } = WebAssembly;
    WebAssembly.compile = () => Promise.reject(new WebAssembly.CompileError("violates the Content Security Policy"));
    try {
      await expect(WasmFilter.load(EVERYTHING)).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT" });
    } finally {
      WebAssembly.compile = compile;
    }
  });
});

test("a memory's index may be written longer than it has to be", async () => {
  const module = wasmModule({ code: [...constant(100), 0x40, 0x80, 0x00, END] });
  // Where the engine takes it: others refuse it, and so do we.
  if (!WebAssembly.validate(module)) return await expect(WasmFilter.load(module)).rejects.toMatchObject(refused);
  const { instance } = await WebAssembly.instantiate(meterModule(module).bytes, {});
  expect((instance.exports.matches as () => number)()).toBe(-1);
});

describe("the watchdog", () => {
  const long = counting(MAX_FILTER_FUEL);

  test("control: without a meter, a long filter takes as long as it takes", async () => {
    expect((await bare(long))(0, 0)).toBe(1);
  });

  test.each([
    ["takes long", long, /takes too long/],
    ["loops", LOOPING, /takes too long/],
    ["fills its memory for ever", FILLING, /takes too long/],
    ["traps", TRAPPING, /traps/],
    ["calls itself for ever", RECURSIVE, /traps|takes too long/],
  ])("one that %s is disabled", async (_name, module, why) => {
    const filter = await WasmFilter.load(module);
    expect(filter.matches(bytes(""))).toBeNull();
    expect(filter.failure).toMatchObject({ code: "FILTER_FAILED", message: expect.stringMatching(why) });
    const first = filter.failure;
    expect([filter.matches(bytes("")), filter.failure]).toEqual([null, first]);
  });

  test("its start function pays too", async () => {
    const start = Uint8Array.from(LOOPING);
    // A function without parameters that loops, and a start section that calls it.
    const looping = [0x03, 0x40, 0x0c, 0, END, END];
    const module = Uint8Array.from([
      ...start.slice(0, 8), ...section(1, [2, 0x60, 2, I32, I32, 1, I32, 0x60, 0, 0]), ...section(3, [2, 0, 1]), ...section(5, [1, 0, 1]),
      ...section(7, [2, 7, ...new TextEncoder().encode("matches"), 0, 0, 6, ...new TextEncoder().encode("memory"), 2, 0]),
      ...section(8, [1]),
      ...section(10, [2, ...unsigned(4), 0, ...constant(1), END, ...unsigned(looping.length + 1), 0, ...looping]),
    ]);
    expect(WebAssembly.validate(module)).toBe(true);
    await expect(WasmFilter.load(module)).rejects.toMatchObject(refused);
  });

  test("every instruction is paid for: what is left says what has run", async () => {
    const fuelAfter = async (turns: number): Promise<number> => {
      const { instance } = await WebAssembly.instantiate(meterModule(counting(turns)).bytes, {});
      const fuel = instance.exports[FUEL] as WebAssembly.Global<"i32">;
      fuel.value = 1_000_000;
      (instance.exports.matches as (pointer: number, length: number) => number)(0, 0);
      return fuel.value;
    };
    const [one, ten, hundred] = [await fuelAfter(1), await fuelAfter(10), await fuelAfter(100)];
    expect(1_000_000 - one).toBeGreaterThan(20);
    const turn = (one - ten) / 9;
    expect(turn).toBeGreaterThanOrEqual(12);
    // 100 is written with a byte more than 10: once in the function, once in each turn.
    expect(ten - hundred).toBe(90 * turn + 100 + 1);
  });
});
