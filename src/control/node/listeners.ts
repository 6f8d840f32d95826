import { PosternError } from '../../errors.ts';
import { type AnyListener, listenTcp, type Listener } from '../../net/listener.ts';
import { listenUnix, type SocketAccess } from '../../net/unix-listener.ts';
import { isLoopback, type Endpoint } from '../../pt/address.ts';
import { demandsSecret } from '../authentication.ts';
import type { ControlServer } from './server.ts';

/**
 * `ControlPort`: TCP. Closing the listener leaves connections that stand alone.
 *
 * @throws PosternError `ERR_CONTROL_UNPROTECTED` for an address that is not loopback while there is no
 *   secret; `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function openControlPort(
  server: ControlServer,
  endpoint: Endpoint,
): Promise<Listener> {
  const local = isLoopback(endpoint.host);
  if (!local && !demandsSecret(server.secrets)) {
    throw new PosternError(
      'ERR_CONTROL_UNPROTECTED',
      'the control port is not on loopback, and no authentication is configured',
    );
  }
  const from = local ? 'loopback' : 'port';
  const listener = {};
  return listenTcp(endpoint, (socket) => server.accept(socket, { from, listener }));
}

/**
 * `ControlSocket`: a Unix-domain socket, as `listenUnix` opens it. Who may open it has nothing to prove, unless
 * everybody may: then it is as a port on loopback.
 *
 * @throws PosternError `ERR_UNIX_SOCKET`, `ERR_SOCKET_PATH`, `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export function openControlSocket(
  server: ControlServer,
  path: string,
  access: SocketAccess = {},
): Promise<AnyListener> {
  const from = access.isWorldWritable === true ? 'loopback' : 'socket';
  const listener = {};
  return listenUnix(path, access, (socket) => server.accept(socket, { from, listener }));
}
