/** `--metrics`: the figures of a verb that has no torrc, for programs on this machine. */
import type { Listener } from '../net/listener.ts';
import { formatEndpoint, isLoopback, type Endpoint } from '../pt/address.ts';
import { parseListenAddress } from './arguments.ts';
import { UsageError } from './report-error.ts';

/** @throws UsageError for an address that others could reach: there is no policy here to keep them out */
export function parseMetricsAddress(address: string | undefined): Endpoint | undefined {
  if (address === undefined) return undefined;
  const endpoint = parseListenAddress('--metrics', address);
  if (isLoopback(endpoint.host)) return endpoint;
  throw new UsageError(
    '--metrics takes an address of this machine’s own, like 127.0.0.1:9035; for others there are ' +
      'MetricsPort and MetricsPortPolicy of postern run, or a tunnel',
  );
}

/**
 * Serves them where an address was given.
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export async function openMetrics(
  endpoint: Endpoint | undefined,
  say: (line: string) => void,
): Promise<Listener | undefined> {
  if (endpoint === undefined) return undefined;
  // Its library is large, and start-up time counts.
  const { serveMetrics } = await import('../metrics/server.ts');
  const listener = await serveMetrics({ endpoint, accepts: isLoopback });
  say(`Figures for Prometheus are at http://${formatEndpoint(listener.endpoint)}/metrics`);
  return listener;
}
