// Run before anything that imports a tool: an old Node fails inside Vite with a message that names neither Node nor a version.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`TabMQ needs Node 20.19 or newer; this is Node ${process.versions.node}.`);
  process.exit(1);
}
