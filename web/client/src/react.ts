/** The newest of a query, in a React component. */

import { createContext, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { Streams } from "./client.js";
import type { Handlers } from "./feed.js";
import type { Problem } from "./problem.js";
import type { Backfill, Failure, Gap, Update } from "./protocol.js";
import type { Question } from "./question.js";
import type { Status } from "./status.js";

/** The client that `useMetric` uses. */
export const ClientContext = createContext<Streams | null>(null);

/** What is known of a query. */
export interface Metric {
  /** The newest result. */
  readonly update: Update | null;
  /** What was before the first one, where the client has `backfill`. */
  readonly backfill: Backfill | null;
  /** The last tick that failed, until one succeeds; or why nothing will come. */
  readonly error: Failure | Problem | null;
  /** The last ticks that were lost. */
  readonly gap: Gap | null;
  readonly status: Status | null;
}

const NOTHING: Metric = { update: null, backfill: null, error: null, gap: null, status: null };

export interface MetricOptions extends Question {
  /** In place of the one of `ClientContext`. */
  readonly client?: Streams;
  /** Called with each event as well: for a chart that keeps its own points. */
  readonly handlers?: Handlers;
}

/** Streams a query for as long as the component is there. */
export function useMetric({ query, interval, datasource, client, handlers }: MetricOptions): Metric {
  const context = useContext(ClientContext);
  const streams = client ?? context;
  if (streams === null) throw new Error("useMetric needs a client: give it one, or put a ClientContext around");
  // Handlers are often made anew in each render, which is no reason to subscribe anew.
  const latest = useRef<Handlers>({});
  useEffect(() => {
    latest.current = handlers ?? {};
  });
  const store = useMemo(() => {
    const question: Question = {
      query,
      ...(interval === undefined ? {} : { interval }),
      ...(datasource === undefined ? {} : { datasource }),
    };
    return storeOf(streams, question, latest);
  }, [streams, query, interval, datasource]);
  return useSyncExternalStore(store.subscribe, store.snapshot, () => NOTHING);
}

/** Holds the newest of a query while somebody listens. */
function storeOf(streams: Streams, question: Question, handlers: { readonly current: Handlers }) {
  let metric = NOTHING;
  const subscribe = (changed: () => void): (() => void) => {
    const set = (part: Partial<Metric>) => {
      metric = { ...metric, ...part };
      changed();
    };
    const subscription = streams.subscribe(question, {
      update: (update) => {
        set({ update, error: null });
        handlers.current.update?.(update);
      },
      backfill: (backfill) => {
        set({ backfill });
        handlers.current.backfill?.(backfill);
      },
      gap: (gap) => {
        set({ gap });
        handlers.current.gap?.(gap);
      },
      error: (error) => {
        set({ error });
        handlers.current.error?.(error);
      },
      status: (status) => {
        set({ status });
        handlers.current.status?.(status);
      },
    });
    return subscription.close;
  };
  return { subscribe, snapshot: () => metric };
}
