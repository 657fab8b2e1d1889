/** The bar on top: what this is, how the connection is, how far back and how often. */

import { type Address, INTERVALS, WINDOWS } from "../address";
import type { Live } from "../live";
import { choice, h, on, s, say } from "./dom";
import type { Themes } from "./theme";

export class Bar {
  readonly element: HTMLElement;
  readonly #badge = h("span", { class: "badge", "data-kind": "late" }, "Connecting");
  readonly #age = h("span", { class: "age" });
  readonly #retry: HTMLButtonElement;
  readonly #detail = h("p", { class: "detail" });

  constructor(address: Address, themes: Themes, go: (change: Partial<Address>) => void, retry: () => void) {
    const windows = WINDOWS.map((minutes) => [String(minutes), minutes === 60 ? "1 h" : `${minutes} min`] as const);
    const range = choice("Window", windows, String(address.window), (value) =>
      go({ window: WINDOWS.find((known) => String(known) === value) ?? address.window }),
    );
    const intervals = INTERVALS.map((seconds) => [String(seconds), `${seconds} s`] as const);
    const every = choice("Every", intervals, String(address.interval), (value) =>
      go({ interval: INTERVALS.find((known) => String(known) === value) ?? address.interval }),
    );
    const theme = h("button", { type: "button", class: "tool" }, `Theme: ${themes.theme}`);
    on(theme, { click: () => say(theme, `Theme: ${themes.turn()}`) });
    this.#retry = on(h("button", { type: "button", class: "tool" }, "Try again"), { click: retry });
    this.#retry.hidden = true;
    this.element = h(
      "header",
      { class: "bar" },
      h("div", { class: "brand" }, logo(), h("h1", {}, "Promcast"), h("span", { class: "sub" }, "GPU fleet")),
      h("div", { class: "state" }, this.#badge, this.#age, this.#retry),
      h("div", { class: "controls" }, range.element, every.element, theme),
      this.#detail,
    );
  }

  draw({ kind, text, age, detail }: Live): void {
    this.#badge.dataset.kind = kind;
    say(this.#badge, text);
    say(this.#age, age);
    const trouble = kind === "off" || (kind === "late" && detail !== "");
    say(this.#detail, trouble ? detail : "");
    this.#detail.hidden = !trouble;
    this.#retry.hidden = kind !== "off" && text !== "Reconnecting";
  }
}

function logo(): SVGElement {
  const wave = s("path", { d: "M5 19h5l3-9 5 14 4-11 2 6h3", class: "wave" });
  return s(
    "svg",
    { viewBox: "0 0 32 32", class: "logo", "aria-hidden": "true" },
    s("rect", { width: 32, height: 32, rx: 8 }),
    wave,
  );
}
