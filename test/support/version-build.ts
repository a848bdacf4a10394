import { join } from "node:path";
import { build } from "vite";

const ROOT = join(import.meta.dirname, "../..");

/** The library and a worker as of another version, which speaks these protocols: `/NAME/index.js` and `/NAME/worker.js`. */
export async function versionBuild(name: string, range: readonly [number, number]): Promise<Record<string, string>> {
  const [index, worker] = await Promise.all([
    one(join(ROOT, "src/index.ts"), "es", name, range),
    one(join(ROOT, "test/fault/workers/with-door.ts"), "iife", name, range),
  ]);
  return { [`/${name}/index.js`]: index, [`/${name}/worker.js`]: worker };
}

async function one(entry: string, format: "es" | "iife", name: string, [min, max]: readonly [number, number]): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    plugins: [
      {
        name: "another-version",
        enforce: "pre",
        // Its worker has a file.
        resolveId: (source) => (source === "virtual:worker-source" ? `\0${source}` : undefined),
        load: (id) => (id === "\0virtual:worker-source" ? `export default "";` : undefined),
        transform(code, id) {
          if (!id.endsWith("/src/protocol/api.ts")) return code.replace(/new URL\("\.\.\/broker\/worker\.ts", import\.meta\.url\)/, `"/${name}/worker.js"`);
          const [version, spoken] = [/PROTOCOL_VERSION = \d+/, /(PROTOCOL_RANGE.* = )\[\d+, \d+\]/];
          if (!version.test(code) || !spoken.test(code)) throw new Error("api.ts does not say its version as it did");
          return code.replace(version, `PROTOCOL_VERSION = ${max}`).replace(spoken, `$1[${min}, ${max}]`);
        },
      },
    ],
    build: {
      target: "es2022", write: false, minify: false,
      lib: { entry, formats: [format], name: "built", fileName: () => "built.js" },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  const [result] = Array.isArray(built) ? built : [built];
  const chunk = result && "output" in result ? result.output[0] : undefined;
  if (chunk === undefined) throw new Error(`${entry} gave no bundle`);
  return chunk.code;
}
