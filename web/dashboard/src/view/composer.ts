/** The form that makes a panel of any PromQL query. */

import { INTERVALS, PANELS_MAX, type Panel, PICTURES } from "../address";
import { choice, h, on, say } from "./dom";

const EXAMPLES = [
  "avg by (modelName) (DCGM_FI_DEV_GPU_UTIL)",
  "topk(3, DCGM_FI_DEV_POWER_USAGE)",
  "sum(rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1m])) / 1000",
  "sum by (exported_namespace) (DCGM_FI_DEV_FB_USED)",
  "DCGM_FI_PROF_PCIE_RX_BYTES",
];

export class Composer {
  readonly element: HTMLElement;
  readonly #note = h("p", { class: "note", role: "status" });

  /** `add` says whether there was room. */
  constructor(add: (panel: Panel) => boolean) {
    const query = h("input", {
      ...{ id: "promql", name: "query", type: "text", required: true, maxlength: 1000, list: "examples" },
      ...{ autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: EXAMPLES[0] },
    });
    const examples = h("datalist", { id: "examples" }, ...EXAMPLES.map((text) => h("option", { value: text })));
    const intervals = INTERVALS.map((seconds) => [String(seconds), `${seconds} s`] as const);
    const interval = choice("Every", intervals, "5", () => {});
    const picture = choice(
      "Picture",
      PICTURES.map((name) => [name, name] as const),
      "line",
      () => {},
    );
    const label = h("label", { class: "query", for: "promql" }, "PromQL query");
    const submit = h("button", { type: "submit", class: "primary" }, "Add panel");
    const form = h("form", { class: "composer" }, h("div", { class: "query" }, label, query, examples));
    form.append(interval.element, picture.element, submit);
    on(form, {
      submit: (event) => {
        event.preventDefault();
        const chosen = PICTURES.find((name) => name === picture.select.value) ?? "line";
        const added = add({ query: query.value.trim(), interval: Number(interval.select.value), picture: chosen });
        say(
          this.#note,
          added
            ? "The panel is in the page's address: copy that to share it."
            : `There is room for ${PANELS_MAX} panels.`,
        );
        if (added) query.value = "";
      },
    });
    this.element = h("section", { class: "panel wide", "aria-labelledby": "own" });
    this.element.append(h("header", {}, h("h3", { id: "own" }, "Your own panel")), form, this.#note);
  }
}
