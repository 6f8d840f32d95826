/** Where a configuration has the daemon listen. */
import { hasFlag } from '../config/address-values.ts';
import { expandPath } from '../config/node.ts';
import type { OptionValues } from '../config/options.ts';
import { serverPlugins } from './embedded/server-transports.ts';
import type { Place } from './places.ts';

/**
 * All that these options have the daemon listen at.
 *
 * @param home what `~` stands for in paths
 */
export function placesIn(values: OptionValues, home: string): readonly Place[] {
  const { SocksPort, HTTPTunnelPort, ControlPort, ControlSocket, ORPort, ExtORPort } = values;
  const { MetricsPort } = values;
  const places: readonly (Place | undefined)[] = [
    ...SocksPort,
    ...HTTPTunnelPort,
    ...ControlPort,
    ...MetricsPort,
    ...ControlSocket,
    ...ORPort.filter((place) => !hasFlag(place, 'NoListen')),
    ExtORPort,
    ...serverPlugins(values).flatMap(({ transports }) =>
      transports.map(({ bindAddress }) => bindAddress),
    ),
  ];
  return places
    .filter((place) => place !== undefined)
    .map((place) => ('path' in place ? { path: expandPath(place.path, home) } : place));
}
