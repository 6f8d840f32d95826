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
  /** The program and its arguments; undefined for the transports that are built in. */
  readonly command?: readonly [program: string, ...args: string[]];
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

/** Tor's `exec`, and `builtin` for the transports of this program. White space ends an argument. */
export const pluginType: ValueType<TransportPlugin> = {
  syntax: 'TRANSPORT[,TRANSPORT …] exec /PATH [ARGUMENT …], or TRANSPORT[,TRANSPORT …] builtin',
  parse(text) {
    const [names, how, program, ...args] = text.split(/[ \t]+/);
    const transports = orValueFault(() => parseTransportList(names!));
    const kind = how?.toLowerCase();
    if (kind === 'builtin' && program === undefined) return { transports };
    if (kind !== 'exec' || program === undefined) {
      throw valueFault('after the transports there must be builtin, or exec and a program');
    }
    // The working directory of a daemon is nobody's business; a search path would be a risk.
    if (!program.startsWith('/')) throw valueFault('the program must be an absolute path');
    return { transports, command: [program, ...args] };
  },
  format: ({ transports, command }) =>
    `${transports.join(',')} ${command === undefined ? 'builtin' : `exec ${command.join(' ')}`}`,
};

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
