// webpack as it comes: the mode and the two paths, nothing about workers.
import webpack from "webpack";

const config = { mode: "production", entry: "./main.js", output: { path: `${process.cwd()}/built`, filename: "main.js" } };
webpack(config, (error, stats) => {
  // That the worker is larger than webpack recommends is no fault of the build; anything else it says is.
  const { errors = [], warnings = [] } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {};
  const faults = [error, ...errors, ...warnings.filter(({ message }) => !message.includes("size limit"))].filter(Boolean);
  for (const { message } of faults) console.error(message);
  process.exitCode = faults.length === 0 ? 0 : 1;
});
