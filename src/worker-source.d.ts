/** The broker's script, dist/worker.js, as text; made by a plugin in vite.config.ts. */
declare module "virtual:worker-source" {
  const source: string;
  export default source;
}
