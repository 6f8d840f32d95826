import type { Duplex } from 'node:stream';
import { bridgeDialer } from '../index.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import { warningOfUnknown } from '../transports/argument-names.ts';
import { builtinTransports } from '../transports/registry.ts';
import { type CommandContext, say } from './context.ts';

/** The way to a bridge: our own transport, or another program's. */
export interface Outlet {
  /** @throws PosternError why the bridge could not be reached */
  dial(signal: AbortSignal): Promise<Duplex>;
  /** Resolves when no connection will be possible any more. */
  readonly lost: Promise<Loss>;
  close(): Promise<void>;
}

/** How the way to a bridge was lost. */
interface Loss {
  /** As a clause. */
  readonly what: string;
  readonly reason: unknown;
}

/** What a command line may say about it. */
export interface OutletOptions {
  readonly pt?: string | undefined;
  readonly upstream?: string | undefined;
  /** The directory for what is kept between connections; without it nothing outlives the outlet. */
  readonly state?: string | undefined;
  /** Hears what a silent bridge may mean. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

/**
 * Opens the way to a bridge.
 *
 * @throws PosternError for a bridge line or an upstream proxy that cannot be used
 */
export async function openOutlet(
  context: CommandContext,
  bridge: BridgeLine,
  { pt, upstream, state, onNotice }: OutletOptions,
): Promise<Outlet> {
  if (pt !== undefined) {
    const { openChildOutlet } = await import('./child-outlet.ts');
    return openChildOutlet(context, bridge, pt, { upstream, state, onNotice });
  }
  const dial = bridgeDialer(bridge, {
    ...(upstream !== undefined && { upstreamProxy: upstream }),
    ...(state !== undefined && { stateDir: state }),
    ...(onNotice !== undefined && { onNotice }),
  });
  const { name, warning } = builtinTransports.get(bridge.transport!);
  if (warning !== undefined) say(context, `Warning: ${name}: ${warning}`);
  const unknown = warningOfUnknown(builtinTransports.get(name), 'client', bridge.args);
  if (unknown !== undefined) say(context, `Warning: ${unknown}.`);
  return {
    dial: (signal) => dial(bridge.endpoint, { signal }),
    lost: new Promise(() => {}),
    close: async () => {},
  };
}
