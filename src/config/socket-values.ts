/** Values that are Unix-domain sockets, in Tor's grammar: a path, perhaps quoted, and flags. */
import type { Endpoint } from '../pt/address.ts';
import { listenType } from './address-values.ts';
import { pathType, type ValueType, valueFault } from './value-types.ts';

/** A Unix-domain socket to listen on. */
export interface SocketPlace {
  readonly path: string;
  /** `GroupWritable`: who is of the socket's group may connect, too. */
  readonly isGroupWritable: boolean;
  /** `RelaxDirModeCheck`: others may read the directory that it is in. */
  readonly isDirectoryRelaxed: boolean;
}

/** `ControlSocket`: undefined for none. */
export const controlSocketType: ValueType<SocketPlace | undefined> = {
  syntax: '/PATH or ~/PATH [GroupWritable] [RelaxDirModeCheck], or 0 for none',
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
export const controlPortType: ValueType<Endpoint | SocketPlace | undefined> = {
  syntax: `${listenType.syntax}; or unix:/PATH [GroupWritable] [RelaxDirModeCheck]`,
  parse: (text) =>
    text.startsWith('unix:') ? parseSocket(text.slice('unix:'.length)) : listenType.parse(text),
  format: (place) =>
    place !== undefined && 'path' in place
      ? `unix:${formatSocket(place)}`
      : listenType.format(place),
};

function parseSocket(text: string): SocketPlace {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"(?=[ \t]|$)/.exec(text);
  const end = quoted?.[0].length ?? text.search(/[ \t]|$/);
  const path = pathType.parse(quoted?.[1]!.replace(/\\(.)/g, '$1') ?? text.slice(0, end));
  const words = text
    .slice(end)
    .split(/[ \t]+/)
    .filter((word) => word !== '');
  const flags = words.map((word) => word.toLowerCase());
  const unknown = flags.findIndex(
    (flag) => flag !== 'groupwritable' && flag !== 'relaxdirmodecheck',
  );
  if (flags[unknown] === 'worldwritable') {
    throw valueFault('WorldWritable would let every user of this machine in; use GroupWritable');
  }
  if (unknown !== -1) {
    throw valueFault(
      'the flags are GroupWritable and RelaxDirModeCheck; a path with blanks is quoted: unix:"/a b"',
    );
  }
  return {
    path,
    isGroupWritable: flags.includes('groupwritable'),
    isDirectoryRelaxed: flags.includes('relaxdirmodecheck'),
  };
}

function formatSocket({ path, isGroupWritable, isDirectoryRelaxed }: SocketPlace): string {
  const isPlain = !/[\s"\\]/.test(path);
  return [
    isPlain ? path : `"${path.replace(/["\\]/g, '\\$&')}"`,
    ...(isGroupWritable ? ['GroupWritable'] : []),
    ...(isDirectoryRelaxed ? ['RelaxDirModeCheck'] : []),
  ].join(' ');
}
