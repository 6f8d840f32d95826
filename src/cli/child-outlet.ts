/** `postern client --pt`: another program's transport, as a child that is kept running. */
import { resolve } from 'node:path';
import { PosternError } from '../errors.ts';
import { createPtDialer } from '../parent/dial.ts';
import { startTransports } from '../parent/start.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import { parseUpstreamProxy } from '../pt/upstream-proxy.ts';
import { parseCommand } from './arguments.ts';
import { type CommandContext, say } from './context.ts';
import type { Outlet, OutletOptions } from './outlet.ts';
import { makeTemporaryDirectory } from '../state/temporary-directory.ts';

/**
 * Starts the program and waits until it is ready.
 *
 * @throws PosternError `ERR_PARENT_*` when it is given up
 */
export async function openChildOutlet(
  context: CommandContext,
  bridge: BridgeLine,
  commandText: string,
  { upstream, state: directory }: Pick<OutletOptions, 'upstream' | 'state'>,
): Promise<Outlet> {
  const command = parseCommand('--pt', commandText);
  const { transport } = bridge;
  if (transport === undefined) {
    throw new PosternError('ERR_PT_BRIDGE_LINE', 'the line names no transport');
  }
  const upstreamProxy = upstream === undefined ? undefined : parseUpstreamProxy(upstream);
  const temporary =
    directory === undefined ? await makeTemporaryDirectory('postern-client-') : undefined;

  const disposeTemporary = async (): Promise<void> => {
    await temporary?.[Symbol.asyncDispose]();
  };
  const supervisor = await startTransports({
    command,
    configuration: {
      role: 'client',
      transports: [transport],
      stateLocation: resolve(temporary?.path ?? directory!),
      outboundBind: {},
      ...(upstreamProxy !== undefined && { upstreamProxy }),
    },
    env: context.env,
    signal: context.stop.drain,
    onLog: (_severity, text) => say(context, text),
  }).catch(async (error: unknown) => {
    await disposeTemporary();
    throw error;
  });
  return {
    async dial(signal) {
      const child = await supervisor.child();
      const dial = createPtDialer(child.methods.get(transport)!, bridge.args);
      return dial(bridge.endpoint, { signal });
    },
    lost: supervisor.closed.then((error) =>
      // Closed by us: nothing was lost.
      error === undefined ? new Promise<never>(() => {}) : (error as Error),
    ),
    async close() {
      await supervisor.close();
      await disposeTemporary();
    },
  };
}
