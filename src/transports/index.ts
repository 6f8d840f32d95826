/** `postern/transports`: what a transport is, and those that there are. */
export { type Rng, systemRng } from '../crypto/rng.ts';
export type { KeyValues } from '../pt/key-value.ts';
export { type Clock, systemClock } from '../time.ts';
export type {
  Action,
  ClientAddress,
  ClientContext,
  ClientTls,
  Sources,
  Folder,
  FoundFile,
  Route,
  ServerContext,
  ServerTls,
  Session,
  SessionFactory,
  StateStore,
  Transport,
  TransportServer,
} from './contract.ts';
export { KeptState, type StateFields, type StateFormat } from './kept-state.ts';
export { builtinTransports, TransportRegistry } from './registry.ts';
