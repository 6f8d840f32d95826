/** Options must not contradict each other: checked on the whole configuration, before anything changes. */
import { isLoopback } from '../pt/address.ts';
import type { OptionValues } from './options.ts';
import { valueFault } from './value-types.ts';

/**
 * Checks a configuration as a whole.
 *
 * @throws PosternError `ERR_CONFIG_VALUE`, naming the options
 */
export function checkRules(values: OptionValues): void {
  for (const rule of rules) {
    const fault = rule(values);
    if (fault !== undefined) throw valueFault(fault);
  }
}

/** Each says what is wrong, or nothing. */
const rules: readonly ((values: OptionValues) => string | undefined)[] = [
  ({ Socks4Proxy, Socks5Proxy, HTTPSProxy }) => {
    const count = [Socks4Proxy, Socks5Proxy, HTTPSProxy].filter((proxy) => proxy !== undefined);
    return count.length > 1
      ? 'Socks4Proxy, Socks5Proxy, HTTPSProxy: only one of them can be set'
      : undefined;
  },
  ({ Socks5ProxyUsername: username, Socks5ProxyPassword: password }) =>
    (username === undefined) === (password === undefined)
      ? undefined
      : 'Socks5ProxyUsername, Socks5ProxyPassword: one needs the other',

  ({ UseBridges, Bridge }) =>
    UseBridges && Bridge.length === 0 ? 'UseBridges: needs a Bridge line' : undefined,
  ({ UseBridges, CircuitHops, Bridge }) =>
    UseBridges && CircuitHops > Bridge.length
      ? 'CircuitHops: there are fewer Bridge lines than hops'
      : undefined,
  ({ BandwidthRate, BandwidthBurst }) =>
    BandwidthBurst < BandwidthRate
      ? 'BandwidthBurst: must not be less than BandwidthRate'
      : undefined,

  ({ ControlPort, CookieAuthentication, HashedControlPassword }) =>
    ControlPort.some((place) => 'host' in place && !isLoopback(place.host)) &&
    !CookieAuthentication &&
    HashedControlPassword.length === 0
      ? 'ControlPort: off loopback it needs CookieAuthentication or HashedControlPassword'
      : undefined,

  ({ Engine, TorBinary, TorControlPort, TorControlSocket, TorControlPasswordFile }) => {
    const attach = [TorControlPort, TorControlSocket].filter((place) => place !== undefined);
    if (Engine !== 'tor') {
      return [TorBinary, ...attach, TorControlPasswordFile].some((value) => value !== undefined)
        ? 'TorBinary, TorControlPort, TorControlSocket, TorControlPasswordFile: need Engine tor'
        : undefined;
    }
    if (attach.length > 1) return 'TorControlPort, TorControlSocket: only one of them can be set';
    if (TorControlPort?.port === 0) return 'TorControlPort: must be the port of a running Tor';
    if (attach.length === 1 && TorBinary !== undefined) {
      return 'TorBinary: no Tor is started where one is controlled that runs already';
    }
    return attach.length === 0 && TorControlPasswordFile !== undefined
      ? 'TorControlPasswordFile: needs TorControlPort or TorControlSocket'
      : undefined;
  },
];
