/** `postern/socks`: SOCKS 4, 4a and 5, both sides, as machines over bytes. */
export { createSocksClient, type SocksClientOptions } from './client.ts';
export {
  type SocksCredentials,
  SocksReply,
  type SocksRequest,
  type SocksVersion,
} from './messages.ts';
export { createSocksServer, type SocksServer, type SocksServerOptions } from './server.ts';
