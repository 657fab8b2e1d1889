// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import type { Streams } from "../src/client.js";
import type { Handlers } from "../src/feed.js";
import { Problem } from "../src/problem.js";
import type { Update } from "../src/protocol.js";
import type { Question } from "../src/question.js";
import { ClientContext, useMetric } from "../src/react.js";

/** A client by script. */
class FakeStreams implements Streams {
  readonly open = new Map<Handlers, Question>();
  readonly subscribe = (question: Question, handlers: Handlers) => {
    this.open.set(handlers, question);
    return { close: () => void this.open.delete(handlers) };
  };
  readonly watch = () => () => {};
  readonly reconnect = () => {};
  readonly close = () => {};

  tell(query: string, act: (handlers: Handlers) => void): void {
    for (const [handlers, question] of this.open) if (question.query === query) act(handlers);
  }
}

const update = (tick: number): Update => ({
  ...{ topic: "t", tick, took_ms: 1 },
  data: { resultType: "vector", result: [] },
});

function Panel({ query, onUpdate }: { query: string; onUpdate?: (update: Update) => void }) {
  const { update, error } = useMetric({ query, ...(onUpdate ? { handlers: { update: onUpdate } } : {}) });
  return <p data-testid={query}>{error?.message ?? update?.tick ?? "nothing"}</p>;
}

afterEach(cleanup);

test("a component shows the newest result, and lets go of the query when it goes", () => {
  const streams = new FakeStreams();
  const page = (query: string | null) => (
    <StrictMode>
      <ClientContext.Provider value={streams}>{query === null ? null : <Panel query={query} />}</ClientContext.Provider>
    </StrictMode>
  );
  const { rerender } = render(page("a"));
  expect(screen.getByTestId("a").textContent).toBe("nothing");
  expect([...streams.open.values()]).toEqual([{ query: "a" }]);
  act(() => streams.tell("a", (handlers) => handlers.update?.(update(5_000))));
  expect(screen.getByTestId("a").textContent).toBe("5000");
  rerender(page("b"));
  expect(screen.getByTestId("b").textContent).toBe("nothing");
  expect([...streams.open.values()]).toEqual([{ query: "b" }]);
  rerender(page(null));
  expect(streams.open.size).toBe(0);
});

test("a failure is shown until a tick succeeds", () => {
  const streams = new FakeStreams();
  render(
    <ClientContext.Provider value={streams}>
      <Panel query="a" />
    </ClientContext.Provider>,
  );
  const problem = new Problem({ type: "forbidden", status: 403, title: "not yours", detail: "" });
  act(() => streams.tell("a", (handlers) => handlers.error?.(problem)));
  expect(screen.getByTestId("a").textContent).toBe("not yours");
  act(() => streams.tell("a", (handlers) => handlers.update?.(update(1))));
  expect(screen.getByTestId("a").textContent).toBe("1");
});

test("handlers that are made anew in each render are no reason to subscribe anew, and the newest is called", () => {
  const streams = new FakeStreams();
  const calls = [vi.fn(), vi.fn()] as const;
  const page = (onUpdate: (update: Update) => void) => (
    <ClientContext.Provider value={streams}>
      <Panel query="a" onUpdate={onUpdate} />
    </ClientContext.Provider>
  );
  const { rerender } = render(page(calls[0]));
  const [first] = streams.open.keys();
  rerender(page(calls[1]));
  expect([...streams.open.keys()]).toEqual([first]);
  act(() => streams.tell("a", (handlers) => handlers.update?.(update(1))));
  expect(calls.map((call) => call.mock.calls.length)).toEqual([0, 1]);
});

test("on a server the hook renders nothing known and opens nothing, and without a client it says what is missing", () => {
  const streams = new FakeStreams();
  const html = renderToString(
    <ClientContext.Provider value={streams}>
      <Panel query="a" />
    </ClientContext.Provider>,
  );
  expect(html).toContain("nothing");
  expect(streams.open.size).toBe(0);
  expect(() => renderToString(<Panel query="a" />)).toThrow(/ClientContext/);
});
