import { useDevtools, useTranslate } from "../context.ts";

/** An address is written by anybody: what of its query could not be read is named, and not silently passed over. */
export function Ignored({ names }: { names: readonly string[] }) {
  const t = useTranslate();
  const { query } = useDevtools().router.route.value;
  if (names.length === 0) return null;
  return <p class="outcome warn" role="alert">{t.rich("common.ignored", { what: <code>{names.map((name) => `${name}=${query[name]}`).join("&")}</code> })}</p>;
}
