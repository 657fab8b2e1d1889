/**
 * Points of many series over one window of time, as columns of numbers. Bounded: what leaves the window is overwritten,
 * and a series that has no point in it is forgotten. Backfill and updates may come in any order.
 */

export interface View<Key> {
  /** Unix milliseconds, ascending. */
  readonly times: Float64Array;
  /** A value for each time; NaN where there is none. */
  readonly columns: ReadonlyMap<Key, Float64Array>;
}

export class Columns<Key> {
  readonly #room: number;
  readonly #times: Float64Array;
  readonly #columns = new Map<Key, Float64Array>();
  #spanMs: number;
  #start = 0;
  #end = 0;
  /** The newest time that was answered, be it with nothing. */
  #answered = Number.NEGATIVE_INFINITY;

  /** `ticks`: the most that the window can have at its interval. */
  constructor(spanMs: number, ticks: number) {
    this.#spanMs = spanMs;
    // Twice the ticks: the rows move to the front once in a window, and not with each tick.
    this.#room = Math.max(8, 2 * (ticks + 2));
    this.#times = new Float64Array(this.#room);
  }

  get newest(): number | undefined {
    return this.#end > this.#start ? this.#times[this.#end - 1] : undefined;
  }

  /** Takes a value; a second one of the same time takes the place of the first. */
  put(key: Key, time: number, value: number): void {
    const row = this.#row(time);
    if (row === undefined) return;
    this.#answered = Math.max(this.#answered, time);
    let column = this.#columns.get(key);
    if (column === undefined) {
      column = new Float64Array(this.#room).fill(Number.NaN);
      this.#columns.set(key, column);
    }
    column[row] = value;
  }

  /** A tick of which nothing is known: lines break there. */
  lost(time: number): void {
    this.#row(time);
  }

  /** A tick at which no series had a value. */
  blank(time: number): void {
    if (this.#row(time) !== undefined) this.#answered = Math.max(this.#answered, time);
  }

  /** Drops what is older than the window that ends now, and series that have nothing left. */
  trim(now: number): void {
    while (this.#start < this.#end && (this.#times[this.#start] ?? 0) < now - this.#spanMs) this.#start += 1;
    for (const [key, column] of this.#columns) {
      let alive = false;
      for (let row = this.#end - 1; row >= this.#start && !alive; row -= 1) alive = !Number.isNaN(column[row]);
      if (!alive) this.#columns.delete(key);
    }
  }

  /** What is in the window now. The arrays are the window's own: read them, and keep them no longer than until it changes. */
  view(): View<Key> {
    const part = (column: Float64Array) => column.subarray(this.#start, this.#end);
    return {
      times: part(this.#times),
      columns: new Map([...this.#columns].map(([key, column]) => [key, part(column)])),
    };
  }

  /** The values at the newest tick that was answered: what failed since then does not make them unknown, but old. */
  latest(): Map<Key, number> {
    const found = new Map<Key, number>();
    let row = this.#end - 1;
    while (row > this.#start && (this.#times[row] ?? 0) > this.#answered) row -= 1;
    if (row < this.#start || this.#times[row] !== this.#answered) return found;
    for (const [key, column] of this.#columns) {
      const value = column[row];
      if (value !== undefined && !Number.isNaN(value)) found.set(key, value);
    }
    return found;
  }

  /** Where the row of a time is, or is made; nothing where the time is too old to be kept. */
  #row(time: number): number | undefined {
    const newest = this.newest;
    if (newest === undefined || time > newest) return this.#append(time);
    if (time < newest - this.#spanMs) return undefined;
    let row = this.#end;
    while (row > this.#start && (this.#times[row - 1] ?? 0) > time) row -= 1;
    if (row > this.#start && this.#times[row - 1] === time) return row - 1;
    return this.#insert(row, time);
  }

  #append(time: number): number {
    while (this.#start < this.#end && (this.#times[this.#start] ?? 0) < time - this.#spanMs) this.#start += 1;
    if (this.#end === this.#room) this.#compact();
    return this.#place(this.#end++, time);
  }

  #insert(row: number, time: number): number {
    let at = row;
    if (this.#end === this.#room) at -= this.#compact();
    for (const column of [this.#times, ...this.#columns.values()]) column.copyWithin(at + 1, at, this.#end);
    this.#end += 1;
    return this.#place(at, time);
  }

  #place(row: number, time: number): number {
    this.#times[row] = time;
    for (const column of this.#columns.values()) column[row] = Number.NaN;
    return row;
  }

  /** Moves the rows to the front, and says by how much. Where no row is free, the oldest goes. */
  #compact(): number {
    if (this.#start === 0) this.#start = 1;
    const by = this.#start;
    for (const column of [this.#times, ...this.#columns.values()]) column.copyWithin(0, by, this.#end);
    this.#start = 0;
    this.#end -= by;
    return by;
  }
}
