/** A small line as the `d` of an SVG path. Pure. */

export interface Box {
  readonly width: number;
  readonly height: number;
  /** Unix milliseconds at the left and the right edge. */
  readonly from: number;
  readonly to: number;
  /** Values at the bottom and the top. */
  readonly low: number;
  readonly high: number;
}

/** Where there is no value the line breaks. */
export function path(times: ArrayLike<number>, values: ArrayLike<number>, box: Box): string {
  const { width, height, from, to, low, high } = box;
  const span = high > low ? high - low : 1;
  let [text, broken] = ["", true];
  for (let i = 0; i < times.length; i += 1) {
    const [time, value] = [times[i] ?? 0, values[i] ?? Number.NaN];
    if (!Number.isFinite(value) || time < from) {
      broken = true;
      continue;
    }
    const x = ((time - from) / (to - from)) * width;
    const y = height - ((value - low) / span) * height;
    text += `${broken ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    broken = false;
  }
  return text;
}

/** The area between a line and the bottom. A line that is broken, or a single point, has none. */
export function area(line: string, height: number): string {
  const points = line.slice(1).split("L");
  const [first, last] = [points[0]?.split(" ")[0], points.at(-1)?.split(" ")[0]];
  if (points.length < 2 || line.lastIndexOf("M") !== 0 || first === undefined || last === undefined) return "";
  return `${line}L${last} ${height}L${first} ${height}Z`;
}
