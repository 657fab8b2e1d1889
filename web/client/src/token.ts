/** The token that requests carry: asked for once, and anew when the gateway no longer takes it. */

import { local } from "./problem.js";

/** Gives a token, or null where none is needed. `reason` is `refused` when the last one counts no longer. */
export type TokenCallback = (reason: "first" | "refused") => string | null | Promise<string | null>;

export class Token {
  readonly #callback: TokenCallback | undefined;
  #current: Promise<string | null> | undefined;
  #reason: "first" | "refused" = "first";

  constructor(source: string | TokenCallback | undefined) {
    if (typeof source === "function") this.#callback = source;
    else this.#current = Promise.resolve(source ?? null);
  }

  /** Whether a new one can be had. */
  get renewable(): boolean {
    return this.#callback !== undefined;
  }

  /** The token in use. Who asks at the same time shares one call; a call that failed is made again. */
  async current(): Promise<string | null> {
    const callback = this.#callback;
    this.#current ??= (async () => (callback === undefined ? null : callback(this.#reason)))();
    const asked = this.#current;
    try {
      return await asked;
    } catch (cause) {
      if (this.#current === asked) this.#current = undefined;
      throw local("token-callback", "the token callback failed", cause);
    }
  }

  /** Forgets a token that was refused, unless another has taken its place. */
  async renew(refused: string | null): Promise<void> {
    if (this.#callback === undefined) return;
    const asked = this.#current;
    const held = await asked?.catch(() => null);
    if (this.#current !== asked || held !== refused) return;
    this.#reason = "refused";
    this.#current = undefined;
  }
}
