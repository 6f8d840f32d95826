/** `postern/parent`: launch, supervise, stop and dial through any PT program. */
export { type ChildEnd, ChildError } from './child-error.ts';
export { createPtDialer, type PtDialerOptions } from './dial.ts';
export { type ExtOrListener, type ExtOrListenOptions, listenExtOr } from './extor-server.ts';
export { type Child, type ChildEvent, launch, type LaunchOptions } from './launch.ts';
export {
  supervise,
  type Supervised,
  type SuperviseOptions,
  type Supervisor,
  type SupervisorEvent,
} from './supervise.ts';
