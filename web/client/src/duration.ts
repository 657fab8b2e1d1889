/** Durations as Prometheus writes them: `15m`, `1h30m`. */

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** Milliseconds of a Prometheus duration; throws a `RangeError` where the text is none. */
export function parseDuration(text: string): number {
  const whole = /^(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?$/;
  const parts = whole.test(text) ? [...text.matchAll(/(\d+)(ms|[smhdwy])/g)] : [];
  if (parts.length === 0) throw new RangeError(`\`${text}\` is not a duration: write one such as \`15m\` or \`1h30m\``);
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ""] ?? 0), 0);
}
