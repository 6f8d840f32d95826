/** The lines that say which transports run, where, with which options, and to which bridges. */
import { PosternError } from '../errors.ts';
import { formatEndpoint, parseIpEndpoint } from '../pt/address.ts';
import type { Endpoint } from '../pt/address.ts';
import { type BridgeLine, formatBridgeLine, parseBridgeLine } from '../pt/bridge-line.ts';
import type { KeyValues } from '../pt/key-value.ts';
import { isTransportName, parseTransportList } from '../pt/names.ts';
import { type ValueType, valueFault } from './value-types.ts';

/** `ClientTransportPlugin` and `ServerTransportPlugin`: who carries out these transports. */
export interface TransportPlugin {
  readonly transports: readonly string[];
  /** The program and its arguments. */
  readonly command?: readonly [program: string, ...args: string[]];
  /** A program that runs already, by its SOCKS port; without it and `command` the transports are built in. */
  readonly proxy?: { readonly protocol: 'socks4' | 'socks5'; readonly endpoint: Endpoint };
}

/** `ServerTransportListenAddr`. */
export interface TransportListenAddress {
  readonly transport: string;
  readonly endpoint: Endpoint;
}

/** `ServerTransportOptions`. The values may be secret (obfs4's `private-key`). */
export interface TransportOptions {
  readonly transport: string;
  readonly options: KeyValues;
}

/** A bridge, as bridges hand it out. */
export const bridgeType: ValueType<BridgeLine> = {
  syntax: '[TRANSPORT] IP:PORT [FINGERPRINT] [KEY=VALUE …]',
  parse(text) {
    return orValueFault(() => parseBridgeLine(text));
  },
  format: formatBridgeLine,
};

/** `ServerTransportPlugin`: Tor's `exec`, and `builtin` for the transports of this program. */
export const serverPluginType: ValueType<TransportPlugin> = {
  syntax: 'TRANSPORT[,TRANSPORT …] exec PATH [ARGUMENT …], or TRANSPORT[,TRANSPORT …] builtin',
  parse(text) {
    const [names, how] = text.split(/[ \t]+/, 2);
    const rest = text.slice(text.indexOf(how ?? '', names!.length) + (how ?? '').length).trim();
    const transports = orValueFault(() => parseTransportList(names!));
    const kind = how?.toLowerCase();
    if (kind === 'builtin' && rest === '') return { transports };
    if (kind !== 'exec' || rest === '') {
      throw valueFault('after the transports there must be builtin, or exec and a program');
    }
    return { transports, command: parseProgram(rest) };
  },
  format: ({ transports, command }) =>
    `${transports.join(',')} ${command === undefined ? 'builtin' : `exec ${formatProgram(command)}`}`,
};

/** `ClientTransportPlugin`: the same, and Tor's `socks4` and `socks5`. */
export const clientPluginType: ValueType<TransportPlugin> = {
  syntax: `${serverPluginType.syntax}, or TRANSPORT[,TRANSPORT …] socks5 IP:PORT (or socks4)`,
  parse(text) {
    const [names, how, address, ...more] = text.split(/[ \t]+/);
    const protocol = (['socks4', 'socks5'] as const).find((name) => name === how?.toLowerCase());
    if (protocol === undefined) return serverPluginType.parse(text);
    const transports = orValueFault(() => parseTransportList(names!));
    const endpoint = parseIpEndpoint(address ?? '');
    if (endpoint === undefined || endpoint.port === 0 || more.length > 0) {
      throw valueFault(`behind ${protocol} there must be ip:port, where the program listens`);
    }
    return { transports, proxy: { protocol, endpoint } };
  },
  format: (plugin) =>
    plugin.proxy === undefined
      ? serverPluginType.format(plugin)
      : `${plugin.transports.join(',')} ${plugin.proxy.protocol} ${formatEndpoint(plugin.proxy.endpoint)}`,
};

/** White space ends a word, but in double quotes; Tor has no quotes there, and takes no such path. */
function parseProgram(text: string): readonly [string, ...string[]] {
  const words = [...text.matchAll(/"((?:[^"\\]|\\.)*)"|([^\s"]+)/gsu)];
  if (!/^(?:(?:"(?:[^"\\]|\\.)*"|[^\s"]+)(?:\s+|$))+$/su.test(text)) {
    throw valueFault('a word with blanks is quoted as a whole: exec "/a b/program" argument');
  }
  const [program, ...args] = words.map(
    ([, quoted, plain]) => plain ?? quoted!.replace(/\\(.)/gsu, '$1'),
  );
  return [program!, ...args];
}

function formatProgram(command: readonly string[]): string {
  return command
    .map((word) => (/^[^\s"]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`))
    .join(' ');
}

/** Where a transport takes connections; port 0 for any free one. */
export const listenAddressType: ValueType<TransportListenAddress> = {
  syntax: 'TRANSPORT IP:PORT',
  parse(text) {
    const [transport, address, ...rest] = text.split(/[ \t]+/);
    const endpoint = parseIpEndpoint(address ?? '');
    if (!isTransportName(transport!) || endpoint === undefined || rest.length > 0) {
      throw valueFault('must be a transport and ip:port (IPv6 in brackets)');
    }
    return { transport: transport!, endpoint };
  },
  format: ({ transport, endpoint }) => `${transport} ${formatEndpoint(endpoint)}`,
};

/** What a server transport is to know. */
export const transportOptionsType: ValueType<TransportOptions> = {
  syntax: 'TRANSPORT KEY=VALUE [KEY=VALUE …]',
  parse(text) {
    const [transport, ...words] = text.split(/[ \t]+/);
    const valid = words.length > 0 && words.every((word) => word.indexOf('=') > 0);
    if (!isTransportName(transport!) || !valid) {
      throw valueFault('must be a transport and key=value options');
    }
    const options = words.map((word) => {
      const equals = word.indexOf('=');
      return [word.slice(0, equals), word.slice(equals + 1)] as const;
    });
    return { transport: transport!, options };
  },
  format: ({ transport, options }) =>
    [transport, ...options.map(([key, value]) => `${key}=${value}`)].join(' '),
};

function orValueFault<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    throw valueFault(error.message, error);
  }
}
