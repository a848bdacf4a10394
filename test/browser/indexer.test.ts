import wasm from "virtual:indexer-wasm";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";
import { indexerContract } from "../unit/indexer.contract.ts";

indexerContract("WASM", () => WasmIndexer.load(Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0))));
indexerContract("TypeScript", async () => new TsIndexer());
