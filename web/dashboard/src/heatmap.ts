/** From columns to cells of a fixed number of bins. Pure. */

/** The mean of the points in each bin from `from` to `to`; NaN where there are none. */
export function binned(
  times: ArrayLike<number>,
  values: ArrayLike<number>,
  { from, to, bins }: { readonly from: number; readonly to: number; readonly bins: number },
): Float64Array {
  const [sums, counts] = [new Float64Array(bins), new Uint32Array(bins)];
  const width = (to - from) / bins;
  for (let i = 0; i < times.length; i += 1) {
    const value = values[i] ?? Number.NaN;
    const bin = Math.min(bins - 1, Math.floor(((times[i] ?? 0) - from) / width));
    if (bin < 0 || (times[i] ?? 0) > to || !Number.isFinite(value)) continue;
    sums[bin] = (sums[bin] ?? 0) + value;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return sums.map((sum, bin) => (counts[bin] === 0 ? Number.NaN : sum / (counts[bin] ?? 1)));
}

/** How many bins fit: cells of at least `narrowest` pixels, and none shorter than the interval, which would leave holes. */
export function binCount(width: number, narrowest: number, spanMs: number, intervalMs: number): number {
  return Math.max(1, Math.min(Math.floor(width / narrowest), Math.floor(spanMs / intervalMs)));
}

/** The lowest and the highest value; 0 and 1 where there are none. */
export function extent(columns: Iterable<ArrayLike<number>>): readonly [low: number, high: number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const column of columns) {
    for (let i = 0; i < column.length; i += 1) {
      const value = column[i] ?? Number.NaN;
      if (!Number.isFinite(value)) continue;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  return low > high ? [0, 1] : [low, high];
}
