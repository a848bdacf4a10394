"use client";

import { useEffect } from "react";
import * as app from "../app.js";

export function Story() {
  useEffect(() => void (globalThis.app = app), []);
  return "TabMQ";
}
