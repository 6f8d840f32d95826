/** `postern client --pt`: another program's transport, as a child that is kept running. */
import { resolve } from 'node:path';
import { PosternError, describeError } from '../errors.ts';
import { createPtDialer } from '../parent/dial.ts';
import { type Child, type ChildEvent, launch } from '../parent/launch.ts';
import { supervise, type SupervisorEvent } from '../parent/supervise.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import type { CmethodMessage } from '../pt/messages.ts';
import { parseUpstreamProxy } from '../pt/upstream-proxy.ts';
import { parseCommand } from './arguments.ts';
import { type CommandContext, say } from './context.ts';
import type { Outlet, OutletOptions } from './outlet.ts';
import { hurriedStopWaits } from '../parent/terminate.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';
import { unawaited } from '../unawaited.ts';

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

  const start = async (signal: AbortSignal): Promise<Child<CmethodMessage>> => {
    const child = await launch({
      command,
      configuration: {
        role: 'client',
        transports: [transport],
        stateLocation: resolve(temporary?.path ?? directory!),
        outboundBind: {},
        ...(upstreamProxy !== undefined && { upstreamProxy }),
      },
      env: context.env,
      stopWaits: hurriedStopWaits,
      signal,
      onEvent: (event) => tellEvent(context, command[0], event),
    });
    if (child.methods.has(transport)) return child;
    await child.close();
    const reason = child.failures.get(transport) ?? 'the program does not know it';
    throw new PosternError('ERR_PARENT_TRANSPORT', `transport ${transport}: ${reason}`);
  };

  const supervisor = supervise({
    start,
    onEvent: (event) => tellNews(context, command[0], event),
  });
  const stop = (): void => unawaited(() => supervisor.close());
  context.stop.now.addEventListener('abort', stop);
  const close = async (): Promise<void> => {
    context.stop.now.removeEventListener('abort', stop);
    await supervisor.close();
    await temporary?.[Symbol.asyncDispose]();
  };
  try {
    await supervisor.child();
  } catch (error) {
    await close();
    throw error;
  }
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
    close,
  };
}

function tellEvent(context: CommandContext, program: string, event: ChildEvent): void {
  if (event.type === 'stderr') say(context, `${program}: ${event.line}`);
  else if (event.type === 'log') {
    say(context, `${program}: ${event.message.severity}: ${event.message.text}`);
  }
}

function tellNews(
  context: CommandContext,
  program: string,
  event: SupervisorEvent<Child<CmethodMessage>>,
): void {
  if (event.type === 'running') {
    say(context, `${program} runs as process ${event.child.pid}.`);
  } else if (event.type === 'waiting') {
    const seconds = (event.delayMs / 1000).toFixed(1);
    say(context, `${program}: ${describeError(event.error)} Again in ${seconds} s.`);
  }
}
