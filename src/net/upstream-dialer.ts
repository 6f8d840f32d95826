import type { Exchange } from '../bytes/exchange.ts';
import { PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import type { UpstreamProxy } from '../pt/upstream-proxy.ts';
import { createSocksClient } from '../socks/client.ts';
import type { Dialer } from './dialer.ts';
import { createHttpConnect } from './http-connect.ts';
import { runProxyExchange } from './proxy-kind.ts';

/**
 * A dialer that reaches everything through an upstream proxy, host names included, which are
 * resolved there (PT 3.2.2, PT 4). It holds no other way out: when the proxy fails, so does it.
 *
 * @param dial reaches the proxy itself
 * @throws (from the dialer) PosternError `ERR_TUNNEL_*`, or what the proxy says about the target
 */
export function createUpstreamDialer(proxy: UpstreamProxy, dial: Dialer): Dialer {
  return async (target, options = {}) => {
    const exchange = createExchange(proxy, target);
    const stream = await dialProxy(proxy, dial, options);
    await runProxyExchange(proxy, stream, dial, exchange, options);
    return stream;
  };
}

/** This failure is the proxy's: a SOCKS client must not be told that the target failed. */
async function dialProxy(
  proxy: UpstreamProxy,
  dial: Dialer,
  options: Parameters<Dialer>[1],
): ReturnType<Dialer> {
  try {
    return await dial(proxy.endpoint, options);
  } catch (error) {
    options?.signal?.throwIfAborted();
    throw new PosternError('ERR_TUNNEL_UNREACHABLE', 'the upstream proxy cannot be reached', {
      cause: error,
    });
  }
}

function createExchange(proxy: UpstreamProxy, target: Endpoint): Exchange<void> {
  const { type, username, password } = proxy;
  switch (type) {
    case 'http':
      return createHttpConnect({
        target,
        ...(username !== undefined && { credentials: { username, password: password ?? '' } }),
      });
    case 'socks4a':
      return createSocksClient({
        version: 'socks4a',
        target,
        ...(username !== undefined && { userId: Buffer.from(username) }),
      });
    case 'socks5':
      return createSocksClient({
        version: 'socks5',
        target,
        ...(username !== undefined && {
          credentials: { username: Buffer.from(username), password: Buffer.from(password ?? '') },
          mayIgnoreCredentials: true,
        }),
      });
  }
}
