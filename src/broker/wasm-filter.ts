import { FUEL, type MeteredModule, meterModule, PAGE_BYTES } from "../filter/wasm-meter.ts";
import { refuseModule, WASM_HEADER } from "../filter/wasm-module.ts";
import { MQError, textOf } from "../model/errors.ts";
import { FILTER_FUEL, FILTER_FUEL_PER_BYTE, MAX_FILTER_FUEL } from "../model/limits.ts";

interface Exports {
  memory: WebAssembly.Memory;
  matches(pointer: number, length: number): number;
}

/** A consumer's own filter. It runs until it fails; then it is disabled, and says why. */
export class WasmFilter {
  failure: MQError | null = null;
  readonly #exports: Exports;
  readonly #fuel: WebAssembly.Global<"i32">;
  /** Where the record stands: behind what the module calls its memory. */
  readonly #pointer: number;
  #memory: Uint8Array;

  private constructor({ exports }: WebAssembly.Instance, pages: number) {
    this.#exports = exports as unknown as Exports;
    this.#fuel = exports[FUEL] as WebAssembly.Global<"i32">;
    this.#pointer = pages * PAGE_BYTES;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
  }

  /** @throws MQError SUBSCRIPTION_PARSE_FAILED when it may not run, UNSUPPORTED_ENVIRONMENT when nothing of its kind may */
  static async load(module: Uint8Array<ArrayBuffer>): Promise<WasmFilter> {
    if (!(await canCompile())) {
      throw new MQError("UNSUPPORTED_ENVIRONMENT", "The broker's worker may not run WebAssembly: its Content-Security-Policy needs 'wasm-unsafe-eval'.");
    }
    // As it is, before anything is added that it could name.
    if (!WebAssembly.validate(module)) throw refuseModule("it is not valid.", 0);
    const metered = meterModule(module);
    const instance = await instantiate(metered);
    if (!(instance.exports.memory instanceof WebAssembly.Memory)) throw refuseModule("it must export its memory.", module.length);
    return new WasmFilter(instance, metered.pages);
  }

  /** null = it has failed, with this record or before. */
  matches(record: Uint8Array): boolean | null {
    if (this.failure !== null) return null;
    try {
      const end = this.#pointer + record.length;
      if (end > this.#memory.length) {
        this.#exports.memory.grow(Math.ceil((end - this.#memory.length) / PAGE_BYTES));
        this.#memory = new Uint8Array(this.#exports.memory.buffer);
      }
      this.#memory.set(record, this.#pointer);
      this.#fuel.value = Math.min(FILTER_FUEL + FILTER_FUEL_PER_BYTE * record.length, MAX_FILTER_FUEL);
      return this.#exports.matches(this.#pointer, record.length) !== 0;
    } catch (cause) {
      const why = this.#fuel.value < 0 ? "takes too long" : `traps: ${textOf(cause)}`;
      this.failure = new MQError("FILTER_FAILED", `The WebAssembly filter ${why}. It is disabled, and its topic waits until the consumer comes again.`);
      return null;
    }
  }
}

async function canCompile(): Promise<boolean> {
  try {
    return (await WebAssembly.compile(Uint8Array.from(WASM_HEADER))) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

async function instantiate({ bytes }: MeteredModule): Promise<WebAssembly.Instance> {
  try {
    return (await WebAssembly.instantiate(bytes, {})).instance;
  } catch (cause) {
    throw refuseModule(`it cannot be started: ${textOf(cause)}`, 0, cause);
  }
}
