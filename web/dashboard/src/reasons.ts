/** The bits of `DCGM_FI_DEV_CLOCKS_EVENT_REASONS` (NVML's clocks event reasons), as words. Pure. */

export type State = "busy" | "idle" | "capped" | "slowed" | "other";

interface Reason {
  readonly bit: number;
  readonly name: string;
  readonly state: State;
}

/** The worst first: the first that is set is what a GPU's line shows. */
const REASONS: readonly Reason[] = [
  { bit: 0x40, name: "too hot (hardware)", state: "slowed" },
  { bit: 0x80, name: "power brake", state: "slowed" },
  { bit: 0x8, name: "slowed by hardware", state: "slowed" },
  { bit: 0x20, name: "too hot", state: "slowed" },
  { bit: 0x4, name: "power cap", state: "capped" },
  { bit: 0x2, name: "clocks set by a person or program", state: "other" },
  { bit: 0x10, name: "sync boost", state: "other" },
  { bit: 0x100, name: "display", state: "other" },
  { bit: 0x1, name: "idle", state: "idle" },
];

export interface Reasons {
  readonly state: State;
  readonly names: readonly string[];
}

/** What a value means; nothing where it is no number. */
export function reasons(bits: number): Reasons | undefined {
  if (!Number.isSafeInteger(bits) || bits < 0) return undefined;
  // Masks of more than 32 bits are none of those that are known.
  const set = REASONS.filter(({ bit }) => (bits & bit) !== 0);
  return { state: set[0]?.state ?? (bits === 0 ? "busy" : "other"), names: set.map(({ name }) => name) };
}

export const STATES: Readonly<Record<State, string>> = {
  busy: "not limited",
  idle: "idle",
  capped: "power cap",
  slowed: "slowed (heat or hardware)",
  other: "set by hand",
};
