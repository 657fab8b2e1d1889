/** Where a gateway wants a token: the form that asks for it. A token is never in an address, and is kept only if one says so. */

import { h, on, say } from "./dom";

const KEY = "promcast-token";

export class Door {
  readonly #dialog = h("dialog", { class: "door", "aria-labelledby": "door" });
  readonly #input = h("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    required: true,
    spellcheck: "false",
  });
  readonly #keep = h("input", { type: "checkbox", id: "keep" });
  readonly #problem = h("p", { class: "problem", role: "alert" });

  constructor(entered: (token: string) => void) {
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "door" }, "This gateway wants a token"),
      this.#problem,
      h("label", { for: "token" }, "Bearer token"),
      this.#input,
      h("label", { class: "keep", for: "keep" }, this.#keep, "Keep it until this tab is closed"),
      h("button", { type: "submit", class: "primary" }, "Sign in"),
    );
    on(form, {
      submit: () => {
        const token = this.#input.value.trim();
        this.#input.value = "";
        if (this.#keep.checked) keep(token);
        entered(token);
      },
    });
    this.#dialog.append(form);
    document.body.append(this.#dialog);
  }

  /** Asks; `problem` is what the gateway said of the last token, if there was one. */
  ask(problem: string): void {
    forget();
    say(this.#problem, problem);
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}

/** The token that was kept, if any. */
export function kept(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(token: string): void {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // A browser that refuses storage: it is asked for again after a reload.
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}
