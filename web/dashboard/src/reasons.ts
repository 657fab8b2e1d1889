/** The bits of `DCGM_FI_DEV_CLOCKS_EVENT_REASONS` (NVML's clocks event reasons), as words. */

const REASONS: readonly (readonly [bit: number, name: string, harmless: boolean])[] = [
  [0x1, "idle", true],
  [0x2, "clocks set by an application", true],
  [0x4, "power cap (software)", false],
  [0x8, "slowdown (hardware)", false],
  [0x10, "sync boost", true],
  [0x20, "thermal (software)", false],
  [0x40, "thermal (hardware)", false],
  [0x80, "power brake (hardware)", false],
  [0x100, "display clocks", true],
];

export interface Reasons {
  readonly names: readonly string[];
  /** Whether one of them slows work down. */
  readonly slowed: boolean;
}

export function reasons(bits: number): Reasons {
  const set = Number.isSafeInteger(bits) && bits > 0 ? REASONS.filter(([bit]) => (bits & bit) !== 0) : [];
  return { names: set.map(([, name]) => name), slowed: set.some(([, , harmless]) => !harmless) };
}
