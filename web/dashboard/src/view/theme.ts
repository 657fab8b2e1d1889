/** Light and dark: as the system has it, or as the reader chose; and the colours that canvases need. */

const KEY = "promcast-theme";
const NEXT = { auto: "dark", dark: "light", light: "auto" } as const;
export type Theme = keyof typeof NEXT;

/** How many colours there are for series; more series have their lines dashed. */
export const HUES = 8;

export interface Ink {
  readonly series: readonly string[];
  readonly text: string;
  readonly soft: string;
  readonly grid: string;
  readonly warn: string;
  readonly high: string;
  readonly gap: string;
  readonly card: string;
  readonly states: Readonly<Record<string, string>>;
  /** From the lowest to the highest. */
  readonly ramp: readonly string[];
}

export class Themes {
  readonly #changed: () => void;
  readonly #probe = document.createElement("i");
  #ink: Ink | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#probe.hidden = true;
    document.body.append(this.#probe);
    this.#apply(this.theme);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#renew());
  }

  get theme(): Theme {
    const stored = recall();
    return stored !== null && stored in NEXT ? (stored as Theme) : "auto";
  }

  turn(): Theme {
    const theme = NEXT[this.theme];
    keep(theme);
    this.#apply(theme);
    this.#renew();
    return theme;
  }

  get ink(): Ink {
    this.#ink ??= this.#read();
    return this.#ink;
  }

  #renew(): void {
    this.#ink = undefined;
    this.#changed();
  }

  #apply(theme: Theme): void {
    document.documentElement.dataset.theme = theme;
  }

  #read(): Ink {
    const color = (name: string) => {
      this.#probe.style.color = `var(--${name})`;
      return getComputedStyle(this.#probe).color;
    };
    const several = (name: string, count: number) => Array.from({ length: count }, (_, i) => color(`${name}${i}`));
    const states = ["busy", "idle", "capped", "slowed", "other"].map((name) => [name, color(`state-${name}`)] as const);
    return {
      series: several("c", HUES),
      ramp: several("r", 6),
      states: Object.fromEntries(states),
      ...{ text: color("text"), soft: color("soft"), grid: color("grid"), card: color("card") },
      ...{ warn: color("warn"), high: color("high"), gap: color("gap") },
    };
  }
}

/** A browser may refuse storage; the choice then lasts as long as the page. */
function recall(): string | null {
  try {
    return localStorage.getItem(KEY) ?? document.documentElement.dataset.theme ?? null;
  } catch {
    return document.documentElement.dataset.theme ?? null;
  }
}

function keep(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // As above.
  }
}
