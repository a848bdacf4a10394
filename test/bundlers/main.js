import * as app from "./app.js";

globalThis.app = app;
