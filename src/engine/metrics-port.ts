/** `MetricsPort` and `MetricsPortPolicy`. */
import { entranceAllows, type ExitRule } from '../config/exit-policy.ts';
import type { OptionValues } from '../config/options.ts';
import { describeError } from '../errors.ts';
import type { Figures } from '../metrics/registry.ts';
import type { Listener } from '../net/listener.ts';
import { formatEndpoint, type Endpoint } from '../pt/address.ts';
import type { Log } from './log.ts';
import { type Change, type Part, simpleChange } from './part.ts';
import type { Places } from './places.ts';
import { forOption, numbered, Resources, type Wanted } from './resources.ts';

/** What the part is given. */
export interface MetricsPortOptions {
  readonly log: Log;
  readonly figures: () => Figures;
  readonly places: Places;
}

/** Serves the figures where the configuration says, to whom it says. */
export class MetricsPort implements Part {
  readonly #options: MetricsPortOptions;
  readonly #listeners: Resources<Listener>;
  #policy: readonly ExitRule[] = [];

  constructor(options: MetricsPortOptions) {
    this.#options = options;
    const { log, places } = options;
    this.#listeners = new Resources((listener) => listener.abort(), {
      places,
      onLost: (error) =>
        log.write('err', `MetricsPort cannot be opened again: ${describeError(error)}`),
    });
  }

  /** Where it listens. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#listeners.current.values()].map(({ endpoint }) => endpoint);
  }

  async prepare({ MetricsPort: ports, MetricsPortPolicy: policy }: OptionValues): Promise<Change> {
    const { log } = this.#options;
    const wanted: Wanted<Listener> = new Map(
      numbered(ports, formatEndpoint).map(([key, port]) => [
        key,
        { takes: [port], open: () => forOption('MetricsPort', () => this.#open(port)) },
      ]),
    );
    const change = await this.#listeners.prepare(wanted);
    const { commit } = simpleChange(() => {
      this.#policy = policy.flat();
      change.commit();
      for (const { endpoint } of change.fresh) {
        log.announce(`Figures for Prometheus are at http://${formatEndpoint(endpoint)}/metrics`);
      }
      if (change.fresh.length > 0) warnOfPolicy(policy, log);
    });
    return { commit, rollback: change.rollback };
  }

  async verify({ MetricsPort: ports, MetricsPortPolicy: policy }: OptionValues): Promise<void> {
    if (ports.length > 0) warnOfPolicy(policy, this.#options.log);
  }

  async close(): Promise<void> {
    await this.#listeners.close();
  }

  async #open(endpoint: Endpoint): Promise<Listener> {
    // Its library is large, and most daemons do not use it.
    const { serveMetrics } = await import('../metrics/server.ts');
    return serveMetrics({
      endpoint,
      accepts: (host) => entranceAllows(this.#policy, host),
      figures: this.#options.figures,
    });
  }
}

function warnOfPolicy(policy: OptionValues['MetricsPortPolicy'], log: Log): void {
  if (policy.flat().some(({ accept }) => accept)) return;
  log.write('warn', 'MetricsPort: MetricsPortPolicy accepts nobody: no request will be answered');
}
