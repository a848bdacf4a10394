// What an application with Vite 7 writes, so that its development server finds the worker.
export default { optimizeDeps: { exclude: ["tabmq"] } };
