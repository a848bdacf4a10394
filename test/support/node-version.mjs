// Run before anything that imports a tool: an old Node fails inside Vite with a message that names neither Node nor a version.

/**
 * `engines` in package.json: ^20.19.0 || >=22.12.0
 * @param {string} version
 */
export function isSupported(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
}

if (!isSupported(process.versions.node)) {
  console.error(`TabMQ needs Node 20.19 or a newer 20, or Node 22.12 or newer; this is Node ${process.versions.node}.`);
  process.exit(1);
}
