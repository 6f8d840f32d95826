/** The options of a client. */
import type { Endpoint } from '../../pt/address.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import {
  type ListenPlace,
  type Mapping,
  mappingType,
  type Network,
  poolType,
  proxyType,
  type UnusedLine,
} from '../address-values.ts';
import { httpTunnelPortType, type SocketPlace, socksPortType } from '../socket-values.ts';
import { bridgeType, clientPluginType, type TransportPlugin } from '../transport-values.ts';
import { booleanType, integerType, intervalType, textType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface ClientOptions {
  readonly SocksPort: readonly (ListenPlace | SocketPlace)[];
  readonly HTTPTunnelPort: readonly ListenPlace[];
  readonly UseBridges: boolean;
  readonly Bridge: readonly BridgeLine[];
  readonly ClientTransportPlugin: readonly TransportPlugin[];
  readonly CircuitHops: number;
  /** In seconds. */
  readonly MaxCircuitDirtiness: number;
  readonly MapAddress: readonly (Mapping | UnusedLine)[];
  readonly VirtualAddrNetworkIPv4: Network;
  readonly VirtualAddrNetworkIPv6: Network;
  readonly Socks4Proxy: Endpoint | undefined;
  readonly Socks5Proxy: Endpoint | undefined;
  readonly Socks5ProxyUsername: string | undefined;
  readonly Socks5ProxyPassword: string | undefined;
  readonly HTTPSProxy: Endpoint | undefined;
  readonly HTTPSProxyAuthenticator: string | undefined;
}

export const clientOptions: OptionRows<ClientOptions> = {
  SocksPort: {
    type: socksPortType,
    isList: true,
    default: '9050',
    summary:
      'Where applications connect that speak SOCKS5, SOCKS4 or SOCKS4a; with flags like OnionTrafficOnly some targets are refused.',
  },
  HTTPTunnelPort: {
    type: httpTunnelPortType,
    isList: true,
    default: '0',
    summary: 'Where applications connect that speak HTTP CONNECT.',
  },
  UseBridges: {
    type: booleanType,
    isList: false,
    default: '0',
    summary: 'Whether circuits are built over the bridges; without it no stream leaves.',
  },
  Bridge: {
    type: bridgeType,
    isList: true,
    summary: 'A bridge that circuits may lead through, as its operator handed it out.',
  },
  ClientTransportPlugin: {
    type: clientPluginType,
    isList: true,
    summary: 'Who carries out the transports that the bridges need: a program, or this one.',
  },
  CircuitHops: {
    type: integerType(1, 8),
    isList: false,
    default: '1',
    summary: 'How many bridges a circuit leads through, one behind the other (not in Tor).',
  },
  MaxCircuitDirtiness: {
    type: intervalType(10, 30 * 86_400),
    isList: false,
    default: '600',
    summary:
      'How long after its first stream a circuit still takes new ones: from 10 seconds to 30 days.',
  },
  MapAddress: {
    type: mappingType,
    isList: true,
    summary:
      'A stream to the first address goes to the second instead; *.NAME is every name below NAME, and itself.',
  },
  VirtualAddrNetworkIPv4: {
    type: poolType(4, 16),
    isList: false,
    default: '127.192.0.0/10',
    summary: 'The IPv4 addresses that a controller may be given for a mapping (MAPADDRESS).',
  },
  VirtualAddrNetworkIPv6: {
    type: poolType(16, 104),
    isList: false,
    default: '[fc00::]/7',
    summary: 'The IPv6 addresses that a controller may be given for a mapping (MAPADDRESS).',
  },
  Socks4Proxy: {
    type: proxyType(1080),
    isList: false,
    summary: 'Reach the bridges through this SOCKS4 proxy, and in no other way.',
  },
  Socks5Proxy: {
    type: proxyType(1080),
    isList: false,
    summary: 'Reach the bridges through this SOCKS5 proxy, and in no other way.',
  },
  Socks5ProxyUsername: {
    type: textType('TEXT', /^.{1,255}$/s, 'must have from 1 to 255 characters'),
    isList: false,
    summary: 'The user name for Socks5Proxy.',
  },
  Socks5ProxyPassword: {
    type: textType('TEXT', /^.{1,255}$/s, 'must have from 1 to 255 characters'),
    isList: false,
    isSecret: true,
    summary: 'The password for Socks5Proxy.',
  },
  HTTPSProxy: {
    type: proxyType(443),
    isList: false,
    summary: 'Reach the bridges through this HTTP proxy by CONNECT, and in no other way.',
  },
  HTTPSProxyAuthenticator: {
    type: textType('USER[:PASSWORD]', /^[^:]/, 'must be a user name, and after a colon a password'),
    isList: false,
    isSecret: true,
    summary: 'The user name and password for HTTPSProxy.',
  },
};
