/**
 * What Tor takes and only warns of, and we as well: a torrc that has worked goes on working, and whoever
 * wrote it is told what does not do what it may have been meant to.
 */
import type { ListenPlace } from './address-values.ts';
import { logLevels } from './log-values.ts';
import type { OptionValues } from './options.ts';
import type { SocketPlace } from './socket-values.ts';
import { explainFlag } from './traffic.ts';

/**
 * What is to be said of a configuration that is in order. No remark quotes what may be secret.
 *
 * @param expand the absolute path that a path of the configuration means
 */
export function remarksOn(
  values: OptionValues,
  expand: (path: string) => string,
): readonly string[] {
  return [...new Set(remarks.flatMap((remark) => remark(values, expand)))];
}

type Remark = (values: OptionValues, expand: (path: string) => string) => readonly string[];

const remarks: readonly Remark[] = [
  ({ SocksPort, HTTPTunnelPort }) => [
    ...flagRemarks('SocksPort', SocksPort, explainFlag),
    ...flagRemarks('HTTPTunnelPort', HTTPTunnelPort, explainFlag),
  ],
  ({ ControlPort, ControlSocket, ExtORPort }) => [
    ...flagRemarks('ControlPort', ControlPort, noFlag),
    ...flagRemarks('ControlSocket', ControlSocket, noFlag),
    ...flagRemarks('ExtORPort', [ExtORPort ?? []].flat(), noFlag),
  ],
  ({ ORPort }) =>
    flagRemarks('ORPort', ORPort, (flag) =>
      /^(?:NoListen|NoAdvertise|IPv[46]Only)$/i.test(flag) ? undefined : noFlag(),
    ),

  ({ ControlPort, ControlSocket, CookieAuthentication, HashedControlPassword }) =>
    [...ControlPort, ...ControlSocket].some((place) => 'path' in place && place.isWorldWritable) &&
    !CookieAuthentication &&
    HashedControlPassword.length === 0
      ? ['WorldWritable: every user of this machine is let in: add CookieAuthentication 1']
      : [],

  ({ Log }) =>
    Log.flatMap(({ ranges }) =>
      ranges.flatMap(({ minimum, maximum }) =>
        logLevels.indexOf(minimum) > logLevels.indexOf(maximum)
          ? `Log: ${minimum}-${maximum} takes no line: the lesser severity comes first`
          : [],
      ),
    ),
  ({ MapAddress }) =>
    MapAddress.flatMap((line) =>
      'unused' in line ? `MapAddress: a line is not used: ${line.unused}` : [],
    ),

  ({ UseBridges, Bridge, ClientTransportPlugin }) =>
    (UseBridges ? Bridge : []).flatMap(({ transport }) =>
      transport === undefined || transportsOf(ClientTransportPlugin).includes(transport)
        ? []
        : `Bridge: no ClientTransportPlugin line carries out ${shorten(transport)}: a bridge that needs it is never reached`,
    ),
  ({ ServerTransportPlugin, ServerTransportListenAddr, ServerTransportOptions }) => {
    const known = transportsOf(ServerTransportPlugin);
    const unknown = (option: string, lines: readonly { transport: string }[]): readonly string[] =>
      lines.flatMap(({ transport }) =>
        known.includes(transport)
          ? []
          : `${option}: no ServerTransportPlugin line carries out ${shorten(transport)}: the line is not used`,
      );
    return [
      ...unknown('ServerTransportListenAddr', ServerTransportListenAddr),
      ...unknown('ServerTransportOptions', ServerTransportOptions),
    ];
  },
  (values) => [
    ...repeated('ClientTransportPlugin', transportsOf(values.ClientTransportPlugin)),
    ...repeated('ServerTransportPlugin', transportsOf(values.ServerTransportPlugin)),
    ...repeated('ServerTransportListenAddr', namesOf(values.ServerTransportListenAddr)),
    ...repeated('ServerTransportOptions', namesOf(values.ServerTransportOptions)),
  ],

  (values, expand) =>
    pathsIn(values).flatMap(([option, path]) =>
      /^~?\//.test(path) ? [] : `${option}: the path is relative, and means ${expand(path)}`,
    ),
];

function flagRemarks(
  option: string,
  places: readonly (ListenPlace | SocketPlace)[],
  explain: (flag: string) => string | undefined,
): readonly string[] {
  return places.flatMap((place) =>
    (place.flags ?? []).flatMap((flag) => {
      const why = explain(flag);
      if (why === undefined) return [];
      const isCut = 'path' in place && why === noFlag();
      const hint = isCut ? '; a path with blanks is quoted: unix:"/a b"' : '';
      return `${option}: ${shorten(flag)} is not used: ${why}${hint}`;
    }),
  );
}

function noFlag(): string {
  return 'there is no such flag';
}

/** Each path of the configuration, with the option that has it. */
function pathsIn(values: OptionValues): readonly (readonly [option: string, path: string])[] {
  const { SocksPort, ControlPort, ControlSocket, Log } = values;
  const { ClientTransportPlugin, ServerTransportPlugin } = values;
  const single = (
    [
      ...(['DataDirectory', 'CookieAuthFile', 'TorBinary'] as const),
      ...(['TorControlSocket', 'TorControlPasswordFile'] as const),
    ] as const
  ).flatMap((option) => {
    const path = values[option];
    return path === undefined ? [] : [[option, path] as const];
  });
  const sockets = Object.entries({ SocksPort, ControlPort, ControlSocket }).flatMap(
    ([option, places]) =>
      places.flatMap((place) => ('path' in place ? [[option, place.path] as const] : [])),
  );
  const programs = Object.entries({ ClientTransportPlugin, ServerTransportPlugin }).flatMap(
    ([option, plugins]) =>
      plugins.flatMap(({ command }) =>
        command === undefined ? [] : [[option, command[0]] as const],
      ),
  );
  const logs = Log.flatMap(({ target }) =>
    typeof target === 'string' ? [] : [['Log', target.file] as const],
  );
  return [...single, ...sockets, ...programs, ...logs];
}

function transportsOf(plugins: OptionValues['ClientTransportPlugin']): readonly string[] {
  return plugins.flatMap(({ transports }) => transports);
}

function namesOf(lines: readonly { readonly transport: string }[]): readonly string[] {
  return lines.map(({ transport }) => transport);
}

function repeated(option: string, transports: readonly string[]): readonly string[] {
  return transports
    .filter((name, index) => transports.indexOf(name) !== index)
    .map((name) => `${option}: two lines name ${shorten(name)}: the first is used`);
}

function shorten(name: string): string {
  return name.slice(0, 40);
}
