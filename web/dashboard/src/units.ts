/** Numbers for people. Pure. */

export type Unit = "percent" | "bytes" | "celsius" | "watt" | "hertz" | "none";

interface Scale {
  readonly step: number;
  readonly names: readonly string[];
  /** Digits after the point where nothing was scaled. */
  readonly digits: number;
}

const SCALES: Readonly<Record<Unit, Scale>> = {
  percent: { step: Number.POSITIVE_INFINITY, names: ["%"], digits: 0 },
  celsius: { step: Number.POSITIVE_INFINITY, names: ["°C"], digits: 0 },
  watt: { step: 1_000, names: ["W", "kW", "MW"], digits: 0 },
  hertz: { step: 1_000, names: ["Hz", "kHz", "MHz", "GHz"], digits: 0 },
  bytes: { step: 1_024, names: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], digits: 0 },
  none: { step: 1_000, names: ["", "k", "M", "G", "T"], digits: 2 },
};

/** `1.5 GiB`, `83 °C`; a dash for what is no number. */
export function format(value: number | null | undefined, unit: Unit): string {
  const [digits, name] = parts(value, unit);
  return name === "" ? digits : `${digits}\u202f${name}`;
}

/** The number and the unit apart. */
export function parts(value: number | null | undefined, unit: Unit): readonly [digits: string, name: string] {
  if (value === null || value === undefined || Number.isNaN(value)) return ["–", ""];
  if (!Number.isFinite(value)) return [value > 0 ? "∞" : "−∞", ""];
  const { step, names, digits } = SCALES[unit];
  const [scaled, place] = scale(value, step, names.length - 1);
  return [shortened(scaled, place === 0 ? digits : 2), names[place] ?? ""];
}

/** What would be rounded up to the next step is written in that: `1 kW`, not `1000 W`. */
function scale(value: number, step: number, last: number): readonly [scaled: number, place: number] {
  let [scaled, place] = [value, 0];
  while (place < last && Math.abs(Number(scaled.toFixed(0))) >= step) {
    scaled /= step;
    place += 1;
  }
  return [scaled, place];
}

/** Three digits that matter, no more than `most` of them after the point, and no zeros at the end. */
function shortened(value: number, most: number): string {
  const size = Math.abs(value);
  const room = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const text = value.toFixed(Math.min(room, most));
  const plain = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  if (Number(plain) === 0 && value !== 0 && most > 0) return value.toPrecision(2);
  return plain.replace(/^-(?=0$)/, "").replace("-", "−");
}

/** `45 s`, `3 min`, `2 h`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 100) return `${seconds}\u202fs`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)}\u202fmin` : `${Math.round(seconds / 3_600)}\u202fh`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** `12:03:05`, in the reader's time zone. */
export function clock(time: number): string {
  return CLOCK.format(time);
}
