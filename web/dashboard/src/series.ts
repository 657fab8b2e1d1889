/** The points of many series over one window of time, as columns for a chart. Pure: what is old is dropped when new comes. */

export type Point = readonly [time: number, value: number];

export interface Table<Key> {
  /** Unix milliseconds, ascending, one for each tick that any series has. */
  readonly times: readonly number[];
  /** A value for each time; null where there is none, so that a line is broken there. */
  readonly columns: ReadonlyMap<Key, readonly (number | null)[]>;
}

export class Window<Key> {
  readonly #spanMs: number;
  readonly #series = new Map<Key, Map<number, number>>();
  readonly #gaps: (readonly [from: number, to: number])[] = [];
  #newest = Number.NEGATIVE_INFINITY;

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** Adds points, in any order; a second one of a time takes the place of the first. */
  add(key: Key, points: Iterable<Point>): void {
    const series = this.#series.get(key) ?? new Map<number, number>();
    for (const [time, value] of points) {
      series.set(time, value);
      this.#newest = Math.max(this.#newest, time);
    }
    if (series.size > 0) this.#series.set(key, series);
    this.#drop();
  }

  /** Ticks that will not be seen: lines are broken there, and the chart shows it. */
  lose(from: number, to: number): void {
    this.#gaps.push([from, to]);
    this.#newest = Math.max(this.#newest, to);
    this.#drop();
  }

  get gaps(): readonly (readonly [from: number, to: number])[] {
    return this.#gaps;
  }

  table(): Table<Key> {
    const known = new Set<number>();
    for (const series of this.#series.values()) for (const time of series.keys()) known.add(time);
    for (const [from] of this.#gaps) known.add(from);
    const times = [...known].sort((one, other) => one - other);
    const columns = new Map<Key, (number | null)[]>();
    for (const [key, series] of this.#series) {
      columns.set(
        key,
        times.map((time) => finite(series.get(time))),
      );
    }
    return { times, columns };
  }

  #drop(): void {
    const oldest = this.#newest - this.#spanMs;
    for (const [key, series] of this.#series) {
      for (const time of series.keys()) if (time <= oldest) series.delete(time);
      if (series.size === 0) this.#series.delete(key);
    }
    const kept = this.#gaps.filter(([, to]) => to > oldest);
    this.#gaps.splice(0, this.#gaps.length, ...kept);
  }
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
