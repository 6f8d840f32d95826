/** `postern/proxy`: a PT program of your own, with the transports that you register. */
export { type ManagedProxyOptions, runManagedProxy } from './run.ts';
