/** Which GPUs are shown: by node, by namespace, and one by one. The picks are also the legend of all charts. */

import { choices, EVERYTHING, type Filter, scoped, toggle } from "../filter";
import { title } from "../gpu";
import type { Page } from "../page";
import { severalNodes } from "../roster";
import { choice, h, on } from "./dom";
import { HUES, type Ink } from "./theme";

/** With more GPUs than this the picks are folded away. */
const OPEN_MAX = 24;

export class Filters {
  readonly element = h("section", { class: "filters", "aria-label": "Filters" });
  readonly #page: Page;
  readonly #ink: () => Ink;
  readonly #changed: (filter: Filter) => void;

  constructor(page: Page, ink: () => Ink, changed: (filter: Filter) => void) {
    [this.#page, this.#ink, this.#changed] = [page, ink, changed];
  }

  /** To be called when there are other GPUs, another filter, or other colours. */
  draw(): void {
    const { members, address } = this.#page;
    const { filter } = address;
    const { nodes, namespaces } = choices(members, filter);
    const list = (names: readonly string[], all: string) => [
      ["", all] as const,
      ...names.map((name) => [name, name] as const),
    ];
    const node = choice("Node", list(nodes, "all nodes"), filter.node, (value) =>
      this.#go({ ...filter, node: value }, "node"),
    );
    const namespace = choice("Namespace", list(namespaces, "all namespaces"), filter.namespace, (value) =>
      this.#go({ ...filter, namespace: value }, "namespace"),
    );
    node.select.dataset.focus = "node";
    namespace.select.dataset.focus = "namespace";
    this.element.replaceChildren(node.element, namespace.element, this.#picks(filter));
  }

  #picks(filter: Filter): HTMLElement {
    const { members } = this.#page;
    const several = severalNodes(members);
    const hues = new Map(members.map(({ gpu }, hue) => [gpu.key, hue]));
    const offered = scoped(members, filter);
    const buttons = offered.map(({ gpu }) => {
      const swatch = h("i", { class: "swatch" });
      swatch.style.background = this.#ink().series[(hues.get(gpu.key) ?? 0) % HUES] ?? "";
      const pressed = filter.gpus.includes(gpu.key);
      const attributes = { type: "button", class: "pick", "aria-pressed": String(pressed), "data-focus": gpu.key };
      const button = h("button", attributes, swatch, title(gpu, several));
      return on(button, { click: () => this.#go(toggle(filter, gpu.key), gpu.key) });
    });
    const group = h("div", { class: "picks", role: "group", "aria-label": "GPUs" }, ...buttons);
    group.dataset.some = String(filter.gpus.length > 0);
    if (JSON.stringify(filter) !== JSON.stringify(EVERYTHING)) {
      const reset = h("button", { type: "button", class: "pick reset", "data-focus": "reset" }, "Show all");
      group.append(on(reset, { click: () => this.#go(EVERYTHING, "node") }));
    }
    if (offered.length <= OPEN_MAX) return group;
    const details = h("details", {}, h("summary", {}, `Pick from ${offered.length} GPUs`), group);
    details.open = filter.gpus.length > 0;
    return details;
  }

  /** The elements are made anew: the one that was used keeps the focus. */
  #go(filter: Filter, focus: string): void {
    this.#changed(filter);
    this.element.querySelector<HTMLElement>(`[data-focus=${CSS.escape(focus)}]`)?.focus();
  }
}
