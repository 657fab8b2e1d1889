/** From columns of codes to spans of states and moments of errors. Pure. */

export interface Span<State> {
  readonly from: number;
  readonly to: number;
  readonly state: State;
}

/**
 * Runs of equal states. A point counts until the next one, and for no longer than `reachMs`: what nobody measured is left
 * empty.
 */
export function spans<State>(
  times: ArrayLike<number>,
  values: ArrayLike<number>,
  stateOf: (value: number) => State | undefined,
  reachMs: number,
): Span<State>[] {
  const found: Span<State>[] = [];
  for (let i = 0; i < times.length; i += 1) {
    const [from, next] = [times[i] ?? 0, times[i + 1]];
    const state = stateOf(values[i] ?? Number.NaN);
    if (state === undefined) continue;
    const to = next === undefined ? from : Math.min(next, from + reachMs);
    const last = found.at(-1);
    if (last !== undefined && last.state === state && last.to === from) found[found.length - 1] = { ...last, to };
    else found.push({ from, to, state });
  }
  return found;
}

export interface Fault {
  readonly time: number;
  readonly code: number;
}

/**
 * The moments at which a GPU's last error changed to another one than none. The gauge keeps its code until the driver is
 * loaded anew, so the first point of the window tells no moment, and two errors of one code in a row cannot be told apart.
 */
export function faults(times: ArrayLike<number>, values: ArrayLike<number>): Fault[] {
  const found: Fault[] = [];
  let before: number | undefined;
  for (let i = 0; i < times.length; i += 1) {
    const code = values[i] ?? Number.NaN;
    if (Number.isNaN(code)) continue;
    if (before !== undefined && code !== before && code > 0) found.push({ time: times[i] ?? 0, code });
    before = code;
  }
  return found;
}
