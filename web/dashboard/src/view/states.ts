/** The panel with the state timeline: what limits the clocks of each GPU, and the moments of its XID errors. */

import type { Page } from "../page";
import { reasons, STATES, type State } from "../reasons";
import { faults, type Span, spans } from "../timeline";
import { clock, duration } from "../units";
import { h } from "./dom";
import type { Drawable } from "./painter";
import { Panel } from "./panel";
import { type Area, Strip } from "./strip";
import { scrolling } from "./summaries";
import type { Ink } from "./theme";

const ORDER: readonly State[] = ["busy", "idle", "capped", "slowed", "other"];

export class States implements Drawable {
  readonly patience = 600;
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #ink: () => Ink;
  readonly #panel: Panel;
  readonly #strip = new Strip();

  constructor(page: Page, ink: () => Ink) {
    [this.#page, this.#ink] = [page, ink];
    const entry = (kind: string, text: string) =>
      h("span", { class: "key" }, h("i", { class: `swatch ${kind}` }), text);
    const keys = ORDER.map((state) => entry(`state-${state}`, STATES[state]));
    const legend = h("p", { class: "scale keys" }, ...keys, entry("xid", "XID error"));
    this.#panel = new Panel(h("div", {}, this.#strip.element, legend), {
      title: "Clock limits and XID errors",
      about: "What limits the clocks of each GPU, and when its driver told an error",
      class: "half",
      table: () => this.#table(),
      toggled: () => this.draw(),
    });
    this.element = this.#panel.element;
  }

  draw(seen = true): void {
    const { topics, series, newest, spanMs } = this.#page;
    const trouble = [topics.reasons, topics.xid].map((topic) => this.#page.conditions(topic, Date.now()));
    this.#panel.conditions(trouble.find((found) => found.length > 0 && found[0]?.kind !== "empty") ?? trouble[0] ?? []);
    this.#panel.describe(`Clock limits of ${series.length} GPUs; the table has them as text`);
    this.#panel.refresh();
    if (this.#panel.tabular || !seen) return;
    const found = series.map(({ key }) => this.#of(key));
    const [ink, from] = [this.#ink(), newest - spanMs];
    const place = (time: number, { left, width }: Area) => left + ((time - from) / spanMs) * width;
    this.#strip.draw({
      rows: series.map(({ title }) => title),
      ...{ from, to: newest, ink },
      paint: (ctx, row, area) => {
        for (const span of found[row]?.states ?? []) {
          const left = Math.max(area.left, place(span.from, area));
          ctx.fillStyle = ink.states[span.state] ?? ink.grid;
          ctx.fillRect(left, area.top, Math.max(1, place(span.to, area) - left), area.height);
        }
        for (const { time } of found[row]?.faults ?? []) diamond(ctx, place(time, area), area, ink);
      },
      tell: (row, time) => tell(found[row], time),
    });
  }

  #of(key: string): Found {
    const { reasons: limits, xid } = this.#page.topics;
    const [states, errors] = [limits.columns.view(), xid.columns.view()];
    const stateOf = (value: number) => reasons(value)?.state;
    const reachMs = 2 * limits.interval * 1000 + 1;
    return {
      states: spans(states.times, states.columns.get(key) ?? [], stateOf, reachMs),
      faults: faults(errors.times, errors.columns.get(key) ?? []),
    };
  }

  #table(): HTMLElement {
    const rows = this.#page.series.flatMap(({ key, title }) => {
      const { states, faults: errors } = this.#of(key);
      const told = states
        .filter(({ state }) => state !== "busy")
        .map(({ from, to, state }) => ({ from, what: STATES[state], lasted: duration(to - from) }));
      const moments = errors.map(({ time, code }) => ({ from: time, what: `XID ${code}`, lasted: "" }));
      return [...told, ...moments].map((row) => ({ title, ...row }));
    });
    rows.sort((one, other) => other.from - one.from);
    const cells = rows.slice(0, 100).map(({ title, from, what, lasted }) => {
      const texts = [clock(from), what, lasted].map((text) => h("td", {}, text));
      return h("tr", {}, h("th", { scope: "row" }, title), ...texts);
    });
    const head = h("tr", {}, ...["GPU", "from", "what", "for"].map((name) => h("th", { scope: "col" }, name)));
    const caption = "Clock limits and XID errors, the newest first";
    return scrolling(
      caption,
      h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...cells)),
    );
  }
}

interface Found {
  readonly states: readonly Span<State>[];
  readonly faults: readonly { readonly time: number; readonly code: number }[];
}

function tell(found: Found | undefined, time: number): string {
  const state = found?.states.find(({ from, to }) => time >= from && time <= to)?.state;
  const error = found?.faults.find((fault) => Math.abs(fault.time - time) < 15_000);
  const what = state === undefined ? "not known" : STATES[state];
  return error === undefined ? what : `${what}, XID ${error.code} at ${clock(error.time)}`;
}

function diamond(ctx: CanvasRenderingContext2D, x: number, { top, height }: Area, ink: Ink): void {
  const [y, size] = [top + height / 2, Math.min(6, height / 2)];
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.fillStyle = ink.high;
  ctx.fill();
  ctx.strokeStyle = ink.card;
  ctx.lineWidth = 1.5;
  ctx.stroke();
}
