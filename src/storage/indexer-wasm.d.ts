/** assembly/, compiled to WebAssembly (vite.config.ts), as base64: it travels inside the worker, so no bundler can lose it. */
declare module "virtual:indexer-wasm" {
  const base64: string;
  export default base64;
}
