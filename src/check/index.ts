/** `postern/check`: whether bridge lines work, and if not, which step fails and what that can mean. */
export { type CheckOptions, checkBridges } from './check.ts';
export { measureClock } from './clock.ts';
export type { FailureKind } from './explain.ts';
export type { BridgeReport, Failure, Step, StepName } from './report.ts';
export type { CheckProgram } from './ways.ts';
