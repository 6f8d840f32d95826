/** `postern/extor`: the Extended ORPort, both sides, as machines over bytes. */
export { createExtOrClient, type ExtOrClientOptions } from './client.ts';
export { decodeCookieFile, encodeCookieFile } from './cookie-file.ts';
export {
  createExtOrServer,
  type ExtOrMetadata,
  type ExtOrServer,
  type ExtOrServerOptions,
} from './server.ts';
