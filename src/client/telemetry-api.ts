import { MQError } from "../model/errors.ts";
import type { TelemetryApi } from "./telemetry.ts";

/** The module, as far as it can be seen. */
export function telemetryApi(value: unknown, field: string): TelemetryApi {
  const { trace, context } = (typeof value === "object" && value !== null ? value : {}) as Partial<TelemetryApi>;
  const functions = [trace?.getTracer, trace?.setSpan, trace?.setSpanContext, context?.active, context?.with];
  if (functions.every((one) => typeof one === "function")) return value as TelemetryApi;
  throw new MQError("INVALID_PARAMETER", `${field} must be the module @opentelemetry/api.`, { field });
}
