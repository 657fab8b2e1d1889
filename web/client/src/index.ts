/** Live PromQL results from a Promcast gateway. */

export {
  Client,
  type ClientOptions,
  type SharedOptions,
  type State,
  type Streams,
  type Subscription,
} from "./client.js";
export type { Environment } from "./environment.js";
export type { Handlers } from "./feed.js";
export { LOCAL_PROBLEMS, type LocalProblem, Problem, type ProblemFields } from "./problem.js";
export * from "./protocol.js";
export type { Question } from "./question.js";
export { number, type Points, samples } from "./samples.js";
export type { Phase, Status } from "./status.js";
export type { TokenCallback } from "./token.js";
export type { Visibility } from "./visibility.js";
