/** What a page shows, in the fragment of its address: it can be shared, and no server sees it. */

export interface Panel {
  readonly query: string;
  /** Seconds. */
  readonly interval: number;
  readonly picture: Picture;
}

export const PICTURES = ["line", "stat", "heatmap", "table"] as const;
export type Picture = (typeof PICTURES)[number];

export interface View {
  readonly node?: string;
  readonly namespace?: string;
  readonly gpu?: string;
  readonly panels: readonly Panel[];
}

const FILTERS = ["node", "namespace", "gpu"] as const;

/** A page with more is not one that a person made. */
const PANELS_MAX = 24;
const QUERY_MAX = 1_000;

export function write(view: View): string {
  const parameters = new URLSearchParams();
  for (const name of FILTERS) {
    const value = view[name];
    if (value !== undefined && value !== "") parameters.set(name, value);
  }
  for (const { query, interval, picture } of view.panels) parameters.append("panel", `${interval},${picture},${query}`);
  return parameters.toString();
}

/** Reads what `write` wrote. Anybody may have written it: panels that cannot be are left out. */
export function read(fragment: string): View {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const filters: Partial<Record<(typeof FILTERS)[number], string>> = {};
  for (const name of FILTERS) {
    const value = parameters.get(name);
    if (value !== null && value !== "") filters[name] = value;
  }
  const panels = parameters.getAll("panel").flatMap((text) => panel(text) ?? []);
  return { ...filters, panels: panels.slice(0, PANELS_MAX) };
}

function panel(text: string): Panel | undefined {
  const [, seconds, picture, query] = /^(\d{1,3}),([a-z]+),(.+)$/s.exec(text) ?? [];
  const [interval, known] = [Number(seconds), PICTURES.find((name) => name === picture)];
  if (query === undefined || known === undefined || query.length > QUERY_MAX) return undefined;
  return interval >= 5 && interval <= 300 ? { query, interval, picture: known } : undefined;
}
