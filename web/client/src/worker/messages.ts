/** What a page and a shared worker say to each other. */

import type { SharedOptions, State } from "../client.js";
import type { ProblemFields } from "../problem.js";
import type { Backfill, Failure, Gap, Update } from "../protocol.js";
import type { Question } from "../question.js";
import type { Status } from "../status.js";

/** From a page, which says several in one message. */
export type FromTab =
  | { readonly op: "hello"; readonly options: SharedOptions; readonly hasToken: boolean; readonly hidden: boolean }
  /** The page holds this Web Lock for as long as it lives. */
  | { readonly op: "lock"; readonly name: string }
  | { readonly op: "subscribe"; readonly ref: number; readonly question: Question }
  | { readonly op: "unsubscribe"; readonly ref: number }
  | { readonly op: "hidden"; readonly hidden: boolean }
  | { readonly op: "token"; readonly call: number; readonly token: string | null }
  | { readonly op: "token-failed"; readonly call: number; readonly message: string }
  | { readonly op: "reconnect" }
  | { readonly op: "bye" };

/** Errors lose their class on the way, so problems travel as plain members. */
export type Travelling<Told> = Omit<Told, "problem"> & { readonly problem?: ProblemFields };

/** From the worker. */
export type FromHost =
  | { readonly op: "update"; readonly ref: number; readonly event: Update }
  | { readonly op: "backfill"; readonly ref: number; readonly event: Backfill }
  | { readonly op: "gap"; readonly ref: number; readonly event: Gap }
  | { readonly op: "failure"; readonly ref: number; readonly event: Failure }
  | { readonly op: "problem"; readonly ref: number; readonly problem: ProblemFields }
  | { readonly op: "status"; readonly ref: number; readonly status: Travelling<Status> }
  | { readonly op: "state"; readonly state: Travelling<State> }
  | { readonly op: "token?"; readonly call: number; readonly reason: "first" | "refused" };

/** The half of a `MessagePort` that is used. */
export interface Port {
  postMessage(message: unknown): void;
  addEventListener(type: "message" | "close", listener: (event: { readonly data?: unknown }) => void): void;
  start?(): void;
  close(): void;
}
