/** What can be asked for, and what is wrong with a question before it is sent. */

/** What to stream. */
export interface Question {
  /** PromQL. */
  readonly query: string;
  /** Seconds from one update to the next, 5 to 300; 15 by default. Updates come more often where another subscriber of the
   * same query asked for that. */
  readonly interval?: number;
  /** Which upstream; the gateway's `default` by default. */
  readonly datasource?: string;
}

const INTERVAL_DEFAULT = 15;

/** The question with its defaults; throws a `RangeError` where it can be none. */
export function checked({ query, datasource, interval = INTERVAL_DEFAULT }: Question) {
  if (query === "") throw new RangeError("the query is empty");
  if (!Number.isInteger(interval) || interval < 5 || interval > 300) {
    throw new RangeError(`the interval is ${interval}: write whole seconds from 5 to 300`);
  }
  return { query, datasource, interval };
}
