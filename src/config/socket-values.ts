/** Values that may be Unix-domain sockets, in Tor's grammar: a path, perhaps quoted, and flags. */
import { listenType, type ListenPlace, socketFlags } from './address-values.ts';
import { checkTraffic } from './traffic.ts';
import { pathType, type ValueType, valueFault } from './value-types.ts';

/** A Unix-domain socket to listen on. */
export interface SocketPlace {
  readonly path: string;
  /** `GroupWritable`: who is of the socket's group may connect, too. */
  readonly isGroupWritable: boolean;
  /** `WorldWritable`: everybody may. */
  readonly isWorldWritable: boolean;
  /** `RelaxDirModeCheck`: others may read the directory that it is in. */
  readonly isDirectoryRelaxed: boolean;
  /** What says nothing about the socket itself. */
  readonly flags?: readonly string[];
}

const SOCKET_FLAGS = '[GroupWritable] [WorldWritable] [RelaxDirModeCheck]';

/** `ControlSocket`: undefined for none. */
export const controlSocketType: ValueType<SocketPlace | undefined> = {
  syntax: `PATH ${SOCKET_FLAGS}, or 0 for none`,
  parse(text) {
    if (text === '0') return undefined;
    return parseSocket(text.startsWith('unix:') ? text.slice('unix:'.length) : text);
  },
  format(place) {
    if (place === undefined) return '0';
    const text = formatSocket(place);
    // A value that begins with a quote would be a quoted value.
    return text.startsWith('"') ? `unix:${text}` : text;
  },
};

/** `ControlPort`: TCP, or a Unix-domain socket. */
export const controlPortType: ValueType<ListenPlace | SocketPlace | undefined> = {
  syntax: `${listenType.syntax}; or unix:PATH ${SOCKET_FLAGS}`,
  parse: (text) =>
    text.startsWith('unix:') ? parseSocket(text.slice('unix:'.length)) : listenType.parse(text),
  format: (place) =>
    place !== undefined && 'path' in place
      ? `unix:${formatSocket(place)}`
      : listenType.format(place),
};

/** `HTTPTunnelPort`: where applications connect, over TCP alone, as with Tor. */
export const httpTunnelPortType: ValueType<ListenPlace | undefined> = withTraffic(listenType);

/** `SocksPort`: where applications connect. */
export const socksPortType: ValueType<ListenPlace | SocketPlace | undefined> =
  withTraffic(controlPortType);

/** A port for applications, whose flags may say what they may ask for. */
function withTraffic<Place extends ListenPlace | SocketPlace>(
  port: ValueType<Place | undefined>,
): ValueType<Place | undefined> {
  return {
    syntax: `${port.syntax}; then Tor’s flags`,
    parse(text) {
      const place = port.parse(text);
      checkTraffic(place?.flags);
      return place;
    },
    format: (place) => port.format(place),
  };
}

function parseSocket(text: string): SocketPlace {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"(?=[ \t]|$)/.exec(text);
  if (text === '' || (text.startsWith('"') && quoted === null)) {
    throw valueFault('must be a path; one with blanks is quoted: unix:"/a b"');
  }
  const end = quoted?.[0].length ?? text.search(/[ \t]|$/);
  const path = pathType.parse(quoted?.[1]!.replace(/\\(.)/g, '$1') ?? text.slice(0, end));
  const words = text
    .slice(end)
    .split(/[ \t]+/)
    .filter((word) => word !== '');
  const has = (name: string): boolean => words.some((word) => word.toLowerCase() === name);
  const flags = words.filter((word) => !socketFlags.test(word));
  return {
    path,
    isGroupWritable: has('groupwritable'),
    isWorldWritable: has('worldwritable'),
    isDirectoryRelaxed: has('relaxdirmodecheck'),
    ...(flags.length > 0 && { flags }),
  };
}

function formatSocket(place: SocketPlace): string {
  const { path, isGroupWritable, isWorldWritable, isDirectoryRelaxed, flags = [] } = place;
  const isPlain = !/[\s"\\]/.test(path);
  return [
    isPlain ? path : `"${path.replace(/["\\]/g, '\\$&')}"`,
    ...(isGroupWritable ? ['GroupWritable'] : []),
    ...(isWorldWritable ? ['WorldWritable'] : []),
    ...(isDirectoryRelaxed ? ['RelaxDirModeCheck'] : []),
    ...flags,
  ].join(' ');
}
