/** `postern top`: a running daemon on the terminal, over its control port. */
import type { Readable, Writable } from 'node:stream';
import type { ControlClient } from '../../control/node/client.ts';
import { describeError } from '../../errors.ts';
import { unawaited } from '../../unawaited.ts';
import { Follower } from '../../view/node.ts';
import { type CommandContext, ExitCode } from '../context.ts';
import { connectToDaemon } from '../connect-control.ts';
import type { ControlPlaceOptions } from '../control-place.ts';
import { initialState, pressKey, type State } from './keys.ts';
import { renderScreen } from './screen.ts';
import { Terminal } from './terminal.ts';

export async function run(context: CommandContext, options: ControlPlaceOptions): Promise<number> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  context.stop.drain.addEventListener('abort', end);
  if (context.stop.drain.aborted) end();
  const stopListening = context.onSignal('SIGHUP', end);
  try {
    const daemon = await connectToDaemon(context, options, ending.signal);
    if (typeof daemon === 'number') return daemon;
    const { client, place } = daemon;
    const isTerminal = (stream: Readable | Writable): boolean =>
      (stream as { isTTY?: boolean }).isTTY === true;
    if (isTerminal(context.stdout) && isTerminal(context.stdin)) {
      await onTerminal(context, client, place, ending);
    } else {
      await inLines(context, client, ending);
    }
    return ExitCode.ok;
  } finally {
    stopListening();
    context.stop.drain.removeEventListener('abort', end);
  }
}

/** Limits how often a frame is drawn: a flood of events must not become a flood of output. */
const FRAME_MS = 200;

async function onTerminal(
  { stdin, stdout, env }: CommandContext,
  client: ControlClient,
  place: string,
  ending: AbortController,
): Promise<void> {
  const { signal } = ending;
  const hasColor = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  let state: State = initialState;
  let pending: NodeJS.Timeout | undefined;
  let drawnMs = -Infinity;
  const terminal = new Terminal(stdin, stdout);
  const draw = (): void => {
    pending = undefined;
    drawnMs = performance.now();
    const size = { columns: terminal.columns, rows: terminal.rows, hasColor };
    const { model, mappings, problem } = follower;
    terminal.draw(renderScreen({ model, mappings, problem, place }, state, size));
  };
  const onChange = (): void => {
    if (state.isPaused) return;
    pending ??= setTimeout(draw, Math.max(0, drawnMs + FRAME_MS - performance.now()));
  };
  const follower = new Follower({ client, onChange, signal });
  const onKey = (key: string): void => {
    const { state: next, send, quits } = pressKey(state, key, Math.max(1, terminal.rows - 4));
    state = next;
    if (quits) return ending.abort();
    if (send !== undefined) {
      unawaited(
        () => follower.sendSignal(send),
        (error) => {
          state = { ...state, prompt: describeError(error) };
          draw();
        },
      );
    }
    draw();
  };
  terminal.listen(onKey, draw);
  try {
    draw();
    await follower.run();
  } finally {
    clearTimeout(pending);
    terminal.close();
  }
}

/** Without a terminal: a line each second, for a file or a program. */
async function inLines(
  { stdout }: CommandContext,
  client: ControlClient,
  ending: AbortController,
): Promise<void> {
  // The reader may go away, as `head` does.
  stdout.once('error', () => ending.abort());
  let seconds = 0;
  const follower = new Follower({
    client,
    signal: ending.signal,
    onChange() {
      const { model, problem } = follower;
      const last = model.bandwidth.at(-1);
      if (last === undefined || model.seconds === seconds || problem !== undefined) return;
      seconds = model.seconds;
      const time = new Date().toISOString();
      stdout.write(
        `${time} read ${last.read} written ${last.written} links ${model.links.size} ` +
          `circuits ${model.circuits.size} streams ${model.streams.size}\n`,
      );
    },
  });
  await follower.run();
}
