/** The frame of a panel: its title, what it is at, what is wrong with its data, and the way to its table. */

import type { Condition } from "../condition";
import { h, on, say } from "./dom";

export interface PanelOptions {
  readonly title: string;
  readonly about: string;
  /** What stands for the picture, for those who cannot see it. */
  readonly table: () => HTMLElement;
  readonly toggled: () => void;
  readonly class?: string;
  readonly tools?: readonly HTMLElement[];
  /** For titles that are queries. */
  readonly mono?: boolean;
}

let count = 0;

export class Panel {
  readonly element: HTMLElement;
  readonly #options: PanelOptions;
  readonly #picture: HTMLElement;
  readonly #told = h("p", { class: "conditions" });
  readonly #value = h("span", { class: "value" });
  readonly #table = h("div", { class: "alternative" });
  readonly #toggle: HTMLButtonElement;
  #said = "";

  constructor(picture: HTMLElement, options: PanelOptions) {
    [this.#picture, this.#options] = [picture, options];
    count += 1;
    const id = `panel-${count}`;
    this.#toggle = on(h("button", { type: "button", class: "tool", "aria-pressed": "false" }, "Table"), {
      click: () => this.#turn(),
    });
    this.#toggle.setAttribute("aria-label", `${options.title} as a table`);
    const name = h(
      "h3",
      { id, title: options.about, class: options.mono === true ? "mono" : undefined },
      options.title,
    );
    const tools = h("span", { class: "tools" }, ...(options.tools ?? []), this.#toggle);
    this.#table.hidden = true;
    this.element = h(
      "section",
      { class: `panel ${options.class ?? ""}`, "aria-labelledby": id },
      h("header", {}, name, this.#value, tools),
      this.#told,
      this.#picture,
      this.#table,
    );
  }

  /** Whether the table is shown in place of the picture. */
  get tabular(): boolean {
    return !this.#table.hidden;
  }

  /** What the picture shows, in a sentence. */
  describe(text: string): void {
    if (this.#picture.getAttribute("role") !== "img") this.#picture.setAttribute("role", "img");
    if (this.#picture.getAttribute("aria-label") !== text) this.#picture.setAttribute("aria-label", text);
  }

  value(text: string): void {
    say(this.#value, text);
  }

  /** Shows what is wrong; gives the text of a new error, to be announced. */
  conditions(found: readonly Condition[]): string | undefined {
    const text = found.map((condition) => `${condition.kind} ${condition.text}`).join("\n");
    if (text === this.#said) return undefined;
    const before = this.#said;
    this.#said = text;
    this.element.dataset.state = found[0]?.kind ?? "ok";
    this.#told.replaceChildren(...found.map(({ kind, text: told }) => h("span", { class: `condition ${kind}` }, told)));
    const error = found.find(({ kind }) => kind === "error");
    return error === undefined || before.startsWith("error") ? undefined : `${this.#options.title}: ${error.text}`;
  }

  /** Renews the table, where it is shown. */
  refresh(): void {
    if (this.tabular) this.#table.replaceChildren(this.#options.table());
  }

  #turn(): void {
    this.#table.hidden = !this.#table.hidden;
    this.#picture.hidden = this.tabular;
    this.#toggle.setAttribute("aria-pressed", String(this.tabular));
    this.refresh();
    this.#options.toggled();
  }
}
