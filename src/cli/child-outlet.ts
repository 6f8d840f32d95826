/** `postern client --pt`: another program's transport, as a child that is kept running. */
import { resolve } from 'node:path';
import { PosternError } from '../errors.ts';
import { abortable } from '../net/abortable.ts';
import { createPtDialer } from '../parent/dial.ts';
import { startTransports } from '../parent/start.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import { parseUpstreamProxy } from '../pt/upstream-proxy.ts';
import { parseCommand } from './arguments.ts';
import { type CommandContext, say } from './context.ts';
import type { Outlet, OutletOptions } from './outlet.ts';
import { makeTemporaryDirectory } from '../state/temporary-directory.ts';

/** Starts the program, and does not wait for it: who dials does, and `lost` tells when it is given up. */
export async function openChildOutlet(
  context: CommandContext,
  bridge: BridgeLine,
  commandText: string,
  { upstream, state: directory, onNotice }: Omit<OutletOptions, 'pt'>,
): Promise<Outlet> {
  const command = parseCommand('--pt', commandText);
  const { transport } = bridge;
  if (transport === undefined) {
    throw new PosternError('ERR_PT_BRIDGE_LINE', 'the line names no transport');
  }
  const upstreamProxy = upstream === undefined ? undefined : parseUpstreamProxy(upstream);
  const temporary =
    directory === undefined ? await makeTemporaryDirectory('postern-client-') : undefined;

  const closing = new AbortController();
  const starting = startTransports({
    command,
    configuration: {
      role: 'client',
      transports: [transport],
      stateLocation: resolve(temporary?.path ?? directory!),
      outboundBind: {},
      ...(upstreamProxy !== undefined && { upstreamProxy }),
    },
    env: context.env,
    signal: AbortSignal.any([context.stop.drain, closing.signal]),
    onLog: (_severity, text) => say(context, text),
  });
  return {
    async dial(signal) {
      const supervisor = await abortable(starting, signal);
      const child = await abortable(supervisor.child(), signal);
      const options = onNotice === undefined ? {} : { onSilence: onNotice };
      const dial = createPtDialer(child.methods.get(transport)!, bridge.args, options);
      return dial(bridge.endpoint, { signal });
    },
    lost: starting.then(
      async (supervisor) => {
        const reason = await supervisor.closed;
        // Closed by us: nothing was lost.
        return reason === undefined ? never : { what: 'the transport is gone', reason };
      },
      (reason: unknown) =>
        context.stop.drain.aborted || closing.signal.aborted
          ? never
          : { what: 'the transport’s program does not start', reason },
    ),
    async close() {
      closing.abort(new PosternError('ERR_PARENT_CLOSED', 'nobody needs the program any more'));
      const supervisor = await starting.catch(() => undefined);
      await supervisor?.close();
      await temporary?.[Symbol.asyncDispose]();
    },
  };
}

const never = new Promise<never>(() => {});
