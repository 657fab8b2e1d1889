/** The fleet in a few numbers, now and over time. Pure. */

import type { View } from "./columns";
import type { Member } from "./roster";
import type { Fault } from "./timeline";

/** How values of several GPUs become one. */
export type Fold = (values: readonly number[]) => number;

export const mean: Fold = (values) => sum(values) / values.length;
export const sum: Fold = (values) => values.reduce((total, value) => total + value, 0);
export const most: Fold = (values) => values.reduce((high, value) => Math.max(high, value), Number.NEGATIVE_INFINITY);

/**
 * Values of boards, where those of MIG instances are their board's, repeated: power and temperature are. Counted each, the
 * power of a board with seven instances would be seven times what it is.
 */
export function ofBoards(members: readonly Member[], reading: (key: string) => number | undefined): number[] {
  const boards = new Map<string, number>();
  for (const { gpu } of members) {
    const value = reading(gpu.key);
    if (value === undefined || Number.isNaN(value)) continue;
    boards.set(gpu.board, Math.max(boards.get(gpu.board) ?? Number.NEGATIVE_INFINITY, value));
  }
  return [...boards.values()];
}

/** Values of GPUs and MIG instances, each of its own. */
export function ofParts(members: readonly Member[], reading: (key: string) => number | undefined): number[] {
  return members.flatMap(({ gpu }) => {
    const value = reading(gpu.key);
    return value === undefined || Number.isNaN(value) ? [] : [value];
  });
}

/** How many slices of its board a MIG instance has: those of its compute instance where the profile is `1c.3g.71gb`. */
export function slices({ profile }: Member["gpu"]): number {
  return profile === "" ? BOARD_SLICES : Number(/^(\d+)[cg]\./.exec(profile)?.[1] ?? 1);
}

/** The most that a board is cut into. */
const BOARD_SLICES = 7;

/**
 * Values of engines, each as often as it has slices: an instance with one slice of seven says less of how busy the fleet is
 * than a board that is not cut.
 */
export function ofSlices(members: readonly Member[], reading: (key: string) => number | undefined): number[] {
  if (members.every(({ gpu }) => gpu.profile === "")) return ofParts(members, reading);
  return members.flatMap((member) => {
    const [value] = ofParts([member], reading);
    return value === undefined ? [] : Array.from({ length: slices(member.gpu) }, () => value);
  });
}

export type Take = typeof ofBoards;

/** The fold at the newest tick; nothing where no GPU has a value. */
export function now(latest: ReadonlyMap<string, number>, members: readonly Member[], take: Take, fold: Fold) {
  const values = take(members, (key) => latest.get(key));
  return values.length === 0 ? undefined : fold(values);
}

/** The fold at each tick; NaN where no GPU has a value. */
export function overTime(view: View<string>, members: readonly Member[], take: Take, fold: Fold): Float64Array {
  return view.times.map((_, row) => {
    const values = take(members, (key) => view.columns.get(key)?.[row]);
    return values.length === 0 ? Number.NaN : fold(values);
  });
}

/** The GPU with the highest value. */
export function hottest(latest: ReadonlyMap<string, number>, members: readonly Member[]) {
  let found: { readonly member: Member; readonly value: number } | undefined;
  for (const member of members) {
    const value = latest.get(member.gpu.key);
    if (value !== undefined && (found === undefined || value > found.value)) found = { member, value };
  }
  return found;
}

/** The errors of boards: those of MIG instances are their board's, repeated. */
export function errors(members: readonly Member[], faultsOf: (key: string) => readonly Fault[]): number {
  const told = members.flatMap(({ gpu }) => faultsOf(gpu.key).map(({ time, code }) => `${gpu.board} ${time} ${code}`));
  return new Set(told).size;
}
