import { createContext, createElement, type ReactElement, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { connect, type ConnectOptions, MQError, type TabMQ } from "../index.ts";

/** How the connection stands. */
export type TabMQStatus =
  | { status: "connecting"; mq: null; error: null }
  | { status: "connected"; mq: TabMQ; error: null }
  /** There is no connection, or it has ended for good: the namespace was destroyed, or somebody has closed it. `error`: why. */
  | { status: "failed"; mq: null; error: MQError };

/** What `useTabMQ` answers. */
export type TabMQState = TabMQStatus & {
  /** Tries to connect once more; does nothing where the connection is the application's own. */
  reconnect: () => void;
};

/** What `TabMQProvider` takes: a connection, or what to connect with. */
export interface TabMQProviderProps {
  /** A connection that the application has already: it is used and left open. */
  client?: TabMQ;
  /** Otherwise: what to connect with, as it is at the first render. Closed at unmount. */
  options?: Omit<ConnectOptions, "signal">;
  children?: ReactNode;
}

const Context = createContext<TabMQState | null>(null);

/** One connection for everything inside. */
export function TabMQProvider({ client, options, children }: TabMQProviderProps): ReactElement {
  const [given] = useState(options);
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<TabMQStatus>(CONNECTING);
  const reconnect = useCallback(() => {
    if (client === undefined) setTurn((before) => before + 1);
  }, [client]);
  useEffect(() => {
    const abort = new AbortController();
    const fail = (error: unknown): void => {
      if (!abort.signal.aborted) setState({ mq: null, status: "failed", error: asError(error) });
    };
    const use = (mq: TabMQ): void => {
      if (abort.signal.aborted) return;
      setState({ mq, status: "connected", error: null });
      const stop = mq.on("closed", ({ error }) => fail(error));
      abort.signal.addEventListener("abort", stop);
    };
    const opening = client === undefined ? connect({ ...given, signal: abort.signal }) : null;
    if (opening === null) use(client!);
    else opening.then(use, fail);
    return () => {
      abort.abort();
      setState(CONNECTING);
      // Also one that comes too late: in StrictMode each effect runs twice.
      opening?.then((mq) => mq.close()).catch(() => {});
    };
  }, [client, given, turn]);
  // One that is given is there in the first render already.
  const value = useMemo((): TabMQState => ({ ...(client === undefined || state.status === "failed" ? state : { mq: client, status: "connected" as const, error: null }), reconnect }), [client, state, reconnect]);
  return createElement(Context.Provider, { value }, children);
}

/** The connection, and how it stands. */
export function useTabMQ(): TabMQState {
  const state = useContext(Context);
  if (state === null) throw new Error("useTabMQ is used outside of a TabMQProvider.");
  return state;
}

const CONNECTING: TabMQStatus = { mq: null, status: "connecting", error: null };

export function asError(error: unknown): MQError {
  return error instanceof MQError ? error : new MQError("INTERNAL_ERROR", error instanceof Error ? error.message : String(error), { cause: error });
}
