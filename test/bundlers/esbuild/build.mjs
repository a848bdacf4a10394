// esbuild as an application uses it: bundled, split, for browsers.
import { build } from "esbuild";

await build({ entryPoints: ["main.js"], bundle: true, splitting: true, format: "esm", minify: true, outdir: "built" });
