/**
 * The options: one row for each, from which everything else about it follows. `docs/OPTIONS.md` is
 * generated from this table. The names are Tor's; where a meaning differs, the row says so.
 */
import {
  formatPassphraseHash,
  parsePassphraseHash,
  type PassphraseHash,
} from '../crypto/passphrase.ts';
import type { Endpoint } from '../pt/address.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import {
  addressType,
  listenType,
  type ListenPlace,
  type Mapping,
  mappingType,
  metricsPortType,
  type Network,
  orPortType,
  plainPortType,
  poolType,
  proxyType,
  type UnusedLine,
} from './address-values.ts';
import { type ExitRule, exitPolicyType } from './exit-policy.ts';
import { type LogLine, logType } from './log-values.ts';
import {
  controlPortType,
  controlSocketType,
  httpTunnelPortType,
  type SocketPlace,
  socksPortType,
} from './socket-values.ts';
import {
  bridgeType,
  listenAddressType,
  clientPluginType,
  serverPluginType,
  type TransportListenAddress,
  type TransportOptions,
  transportOptionsType,
  type TransportPlugin,
} from './transport-values.ts';
import {
  booleanType,
  choiceType,
  integerType,
  intervalType,
  memoryType,
  pathType,
  scrubbingType,
  textType,
  type ValueType,
} from './value-types.ts';

/**
 * The values in force, defaults included. An array is an option with many lines; undefined is a
 * single one that is not set and has no default.
 */
export interface OptionValues {
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
  readonly ORPort: readonly ListenPlace[];
  readonly ExtORPort: ListenPlace | undefined;
  readonly Address: readonly string[];
  readonly ServerTransportPlugin: readonly TransportPlugin[];
  readonly ServerTransportListenAddr: readonly TransportListenAddress[];
  readonly ServerTransportOptions: readonly TransportOptions[];
  readonly ExitPolicy: readonly (readonly ExitRule[])[];
  readonly ExitPolicyRejectPrivate: boolean;
  /** In seconds. */
  readonly ShutdownWaitLength: number;
  readonly Nickname: string;
  readonly ContactInfo: string | undefined;
  /** In bytes a second. */
  readonly BandwidthRate: number;
  /** In bytes. */
  readonly BandwidthBurst: number;
  readonly ControlPort: readonly (ListenPlace | SocketPlace)[];
  readonly ControlSocket: readonly SocketPlace[];
  readonly CookieAuthentication: boolean;
  readonly ControlSocketsGroupWritable: boolean;
  readonly CookieAuthFile: string | undefined;
  readonly CookieAuthFileGroupReadable: boolean;
  readonly HashedControlPassword: readonly PassphraseHash[];
  readonly DataDirectory: string | undefined;
  readonly Engine: 'embedded' | 'tor';
  readonly TorBinary: string | undefined;
  readonly TorControlPort: Endpoint | undefined;
  readonly TorControlSocket: string | undefined;
  readonly TorControlPasswordFile: string | undefined;
  readonly MetricsPort: readonly Endpoint[];
  readonly MetricsPortPolicy: readonly (readonly ExitRule[])[];
  readonly Log: readonly LogLine[];
  readonly SafeLogging: boolean;
}

export type OptionName = keyof OptionValues;

/** What one option is. */
export interface OptionRow<T = unknown> {
  readonly section: 'client' | 'bridge' | 'both' | 'control' | 'daemon' | 'tor';
  readonly type: ValueType<T>;
  /** Whether every line counts (`Bridge`), or only the last. */
  readonly isList: boolean;
  /** In canonical form. */
  readonly default?: string;
  /** Whether it can be set only before the start. */
  readonly isFixed?: true;
  /** Whether this program reads it also with `Engine tor`; the others are Tor's own then. */
  readonly isForEveryEngine?: true;
  /** Whether its value is a secret, or may hold one: shown to nobody who only looks. */
  readonly isSecret?: true;
  /** One sentence. */
  readonly summary: string;
}

/** The row that an option of this type of value must have. */
type RowOf<V> = [V] extends [readonly (infer T)[]]
  ? OptionRow<T | undefined> & { readonly isList: true }
  : OptionRow<V> & { readonly isList: false };

const table: { readonly [Name in OptionName]: RowOf<OptionValues[Name]> } = {
  SocksPort: {
    section: 'client',
    type: socksPortType,
    isList: true,
    default: '9050',
    summary:
      'Where applications connect that speak SOCKS5, SOCKS4 or SOCKS4a; with flags like OnionTrafficOnly some targets are refused.',
  },
  HTTPTunnelPort: {
    section: 'client',
    type: httpTunnelPortType,
    isList: true,
    default: '0',
    summary: 'Where applications connect that speak HTTP CONNECT.',
  },
  UseBridges: {
    section: 'client',
    type: booleanType,
    isList: false,
    default: '0',
    summary: 'Whether circuits are built over the bridges; without it no stream leaves.',
  },
  Bridge: {
    section: 'client',
    type: bridgeType,
    isList: true,
    summary: 'A bridge that circuits may lead through, as its operator handed it out.',
  },
  ClientTransportPlugin: {
    section: 'client',
    type: clientPluginType,
    isList: true,
    summary: 'Who carries out the transports that the bridges need: a program, or this one.',
  },
  CircuitHops: {
    section: 'client',
    type: integerType(1, 8),
    isList: false,
    default: '1',
    summary: 'How many bridges a circuit leads through, one behind the other (not in Tor).',
  },
  MaxCircuitDirtiness: {
    section: 'client',
    type: intervalType(10, 30 * 86_400),
    isList: false,
    default: '600',
    summary:
      'How long after its first stream a circuit still takes new ones: from 10 seconds to 30 days.',
  },
  MapAddress: {
    section: 'client',
    type: mappingType,
    isList: true,
    summary:
      'A stream to the first address goes to the second instead; *.NAME is every name below NAME, and itself.',
  },
  VirtualAddrNetworkIPv4: {
    section: 'client',
    type: poolType(4, 16),
    isList: false,
    default: '127.192.0.0/10',
    summary: 'The IPv4 addresses that a controller may be given for a mapping (MAPADDRESS).',
  },
  VirtualAddrNetworkIPv6: {
    section: 'client',
    type: poolType(16, 104),
    isList: false,
    default: '[fc00::]/7',
    summary: 'The IPv6 addresses that a controller may be given for a mapping (MAPADDRESS).',
  },
  Socks4Proxy: {
    section: 'client',
    type: proxyType(1080),
    isList: false,
    summary: 'Reach the bridges through this SOCKS4 proxy, and in no other way.',
  },
  Socks5Proxy: {
    section: 'client',
    type: proxyType(1080),
    isList: false,
    summary: 'Reach the bridges through this SOCKS5 proxy, and in no other way.',
  },
  Socks5ProxyUsername: {
    section: 'client',
    type: textType('TEXT', /^.{1,255}$/s, 'must have from 1 to 255 characters'),
    isList: false,
    summary: 'The user name for Socks5Proxy.',
  },
  Socks5ProxyPassword: {
    section: 'client',
    type: textType('TEXT', /^.{1,255}$/s, 'must have from 1 to 255 characters'),
    isList: false,
    isSecret: true,
    summary: 'The password for Socks5Proxy.',
  },
  HTTPSProxy: {
    section: 'client',
    type: proxyType(443),
    isList: false,
    summary: 'Reach the bridges through this HTTP proxy by CONNECT, and in no other way.',
  },
  HTTPSProxyAuthenticator: {
    section: 'client',
    type: textType('USER[:PASSWORD]', /^[^:]/, 'must be a user name, and after a colon a password'),
    isList: false,
    isSecret: true,
    summary: 'The user name and password for HTTPSProxy.',
  },
  ORPort: {
    section: 'bridge',
    type: orPortType,
    isList: true,
    default: '0',
    summary:
      'Where links arrive whose disguise has been taken off; on loopback unless an address is given, as anyone who reaches it can use it.',
  },
  ExtORPort: {
    section: 'bridge',
    type: listenType,
    isList: false,
    default: '0',
    summary: 'The same with the Extended ORPort protocol, which tells who the client is.',
  },
  Address: {
    section: 'bridge',
    type: addressType,
    isList: true,
    summary:
      'Where clients reach the bridge, for its bridge lines; once for IPv4 and once for IPv6. A name is looked up at the start.',
  },
  ServerTransportPlugin: {
    section: 'bridge',
    type: serverPluginType,
    isList: true,
    summary: 'Run as a bridge with these transports, by a program or by this one.',
  },
  ServerTransportListenAddr: {
    section: 'bridge',
    type: listenAddressType,
    isList: true,
    summary: 'Where a transport of the bridge takes connections.',
  },
  ServerTransportOptions: {
    section: 'bridge',
    type: transportOptionsType,
    isList: true,
    isSecret: true,
    summary: 'Options of a transport of the bridge, like iat-mode=1.',
  },
  ExitPolicy: {
    section: 'bridge',
    type: exitPolicyType,
    isList: true,
    summary: 'Where streams may leave to; the first rule that fits decides, else they may.',
  },
  ExitPolicyRejectPrivate: {
    section: 'bridge',
    type: booleanType,
    isList: false,
    default: '1',
    summary:
      'Whether streams to private, local and multicast addresses are refused, before ExitPolicy is asked.',
  },
  ShutdownWaitLength: {
    section: 'bridge',
    type: intervalType(0),
    isList: false,
    default: '30',
    summary: 'How long a bridge that is asked to end waits for its streams.',
  },
  Nickname: {
    section: 'bridge',
    type: textType(
      'NAME',
      /^[a-zA-Z0-9]{1,19}$/,
      'must have from 1 to 19 letters and digits, nothing else',
    ),
    isList: false,
    default: 'Unnamed',
    summary: 'The name by which this daemon goes in logs.',
  },
  ContactInfo: {
    section: 'bridge',
    type: textType('TEXT', /^/, 'must be text'),
    isList: false,
    summary: 'How to reach the operator; kept for the operator’s own tools, sent nowhere.',
  },
  BandwidthRate: {
    section: 'both',
    type: memoryType(1, 2 ** 31 - 1),
    isList: false,
    default: '1073741824',
    summary: 'How many bytes a second may pass in each direction, on average.',
  },
  BandwidthBurst: {
    section: 'both',
    type: memoryType(1, 2 ** 31 - 1),
    isList: false,
    default: '1073741824',
    summary: 'How many bytes may pass at once after a pause.',
  },
  ControlPort: {
    section: 'control',
    type: controlPortType,
    isList: true,
    default: '0',
    isForEveryEngine: true,
    summary: 'Where controllers connect (TC); off loopback only with authentication.',
  },
  ControlSocket: {
    section: 'control',
    type: controlSocketType,
    isList: true,
    isForEveryEngine: true,
    summary: 'A Unix socket for controllers; its file permissions say who may connect.',
  },
  ControlSocketsGroupWritable: {
    section: 'control',
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether everyone of the socket’s group may connect to ControlSocket, too.',
  },
  CookieAuthentication: {
    section: 'control',
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether controllers must show the cookie, which is renewed at each start.',
  },
  CookieAuthFile: {
    section: 'control',
    type: pathType,
    isList: false,
    isForEveryEngine: true,
    summary: 'Where the cookie is written; `control_auth_cookie` in DataDirectory when not set.',
  },
  CookieAuthFileGroupReadable: {
    section: 'control',
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether everyone of the file’s group may read the cookie, too.',
  },
  HashedControlPassword: {
    section: 'control',
    type: { syntax: '16:HEX', parse: parsePassphraseHash, format: formatPassphraseHash },
    isList: true,
    isForEveryEngine: true,
    isSecret: true,
    summary: 'A passphrase that opens the control port, as `postern hash-password` prints it.',
  },
  DataDirectory: {
    section: 'daemon',
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary:
      'Where identities and the cookie are kept; without it `$STATE_DIRECTORY` (systemd), else `postern` in `$XDG_STATE_HOME` or ~/.local/state.',
  },
  Engine: {
    section: 'daemon',
    type: choiceType(['embedded', 'tor']),
    isList: false,
    default: 'embedded',
    isFixed: true,
    isForEveryEngine: true,
    summary:
      'What stands behind the control port: the tunnel built in, or a real Tor (not in Tor).',
  },
  MetricsPort: {
    section: 'daemon',
    type: metricsPortType,
    isList: true,
    default: '0',
    summary:
      'Where Prometheus finds figures, at /metrics; nobody is answered whom MetricsPortPolicy does not accept.',
  },
  MetricsPortPolicy: {
    section: 'daemon',
    type: exitPolicyType,
    isList: true,
    summary:
      'Who may come to MetricsPort, as in ExitPolicy without ports; the others are rejected.',
  },
  Log: {
    section: 'daemon',
    type: logType,
    isList: true,
    default: 'notice stdout',
    isForEveryEngine: true,
    summary: 'Which lines are logged, and where to.',
  },
  SafeLogging: {
    section: 'daemon',
    type: scrubbingType,
    isList: false,
    default: '1',
    isForEveryEngine: true,
    summary: 'Whether addresses are scrubbed from the log.',
  },
  TorBinary: {
    section: 'tor',
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'The Tor to start; without it the first `tor` of the search path or a usual place.',
  },
  TorControlPort: {
    section: 'tor',
    type: plainPortType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'Start no Tor but control the one that runs there.',
  },
  TorControlSocket: {
    section: 'tor',
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'The same over a Unix-domain socket.',
  },
  TorControlPasswordFile: {
    section: 'tor',
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'A file with the password that this Tor wants; a cookie it names itself.',
  },
};

/** The table of options, in the order of the documents. */
export const optionTable: Readonly<Record<OptionName, OptionRow>> = table;

/** Options whose lines mean something together and in their order (TC 3.4). */
export interface OptionGroup {
  /** The option with which each part begins. */
  readonly head: string;
  /** All options of the group with one sentence each, the head among them. */
  readonly members: Readonly<Record<string, string>>;
}

/** The groups, by the virtual key that all lines of a group are fetched with. */
export const optionGroups: Readonly<Record<string, OptionGroup>> = {
  HiddenServiceOptions: {
    head: 'HiddenServiceDir',
    members: {
      HiddenServiceDir:
        'Begins a hidden service; kept and answered, but the embedded engine has none.',
      HiddenServicePort: 'A port of the hidden service.',
      HiddenServiceNodes: 'Nodes to use as its introduction points.',
      HiddenServiceExcludeNodes: 'Nodes not to use as its introduction points.',
    },
  },
};
