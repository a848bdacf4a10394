import { useInsertionEffect, useRef } from "react";

/** The value of the last render that was shown: one that React throws away does not count. Written before any other effect runs. */
export function useNewest<Value>(value: Value): { readonly current: Value } {
  const newest = useRef(value);
  useInsertionEffect(() => {
    newest.current = value;
  });
  return newest;
}
