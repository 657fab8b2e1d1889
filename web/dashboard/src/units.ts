/** Numbers for people: at most four digits, and the unit. */

export type Unit = "percent" | "bytes" | "celsius" | "watt" | "hertz" | "none";

interface Scale {
  readonly step: number;
  readonly names: readonly string[];
}

const SCALES: Readonly<Record<Unit, Scale>> = {
  percent: { step: 0, names: ["%"] },
  celsius: { step: 0, names: ["°C"] },
  none: { step: 0, names: [""] },
  watt: { step: 1_000, names: ["W", "kW", "MW"] },
  hertz: { step: 1_000, names: ["Hz", "kHz", "MHz", "GHz"] },
  bytes: { step: 1_024, names: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] },
};

/** `1.5 GiB`, `83 °C`; a dash for what is no number. */
export function format(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return "–";
  const { step, names } = SCALES[unit];
  let [scaled, place] = [value, 0];
  // 999.9 and not 1000: what would be rounded up to the next step is written in that.
  while (step > 0 && place < names.length - 1 && Math.abs(Number(digits(scaled))) >= step) {
    scaled /= step;
    place += 1;
  }
  const name = names[place] ?? "";
  return name === "" ? digits(scaled) : `${digits(scaled)}\u00a0${name}`;
}

function digits(value: number): string {
  const size = Math.abs(value);
  return (size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2)).replace(
    /\.?0+$/,
    (zeros) => (zeros.startsWith(".") ? "" : size >= 100 ? zeros : ""),
  );
}
