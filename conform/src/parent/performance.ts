/** A script on a run: the lines are written, and what the parent does is watched. */
import type { Role } from '../clauses.ts';
import { shown } from '../findings.ts';
import type { Script } from './scripts.ts';
import type { Time } from '../patience.ts';
import type { ParentRun } from './run.ts';

/** What a parent made of a PT. */
export interface Reaction {
  /** `used`: it connected to the PT. `stopped`: it ended the PT. `crashed`: it died of it. */
  readonly outcome: 'used' | 'stopped' | 'idle' | 'crashed';
  readonly description: string;
}

/** The role and the transports that the parent asks for. */
export function askedFor(env: Readonly<Record<string, string>>): {
  readonly role: Role;
  readonly names: readonly string[];
} {
  const client = env['TOR_PT_CLIENT_TRANSPORTS'];
  const server = env['TOR_PT_SERVER_TRANSPORTS'];
  return {
    role: client === undefined ? 'server' : 'client',
    names: (client ?? server ?? '').split(',').filter((name) => name !== ''),
  };
}

/** Writes what a script says; returns it, as evidence. */
export function perform(run: ParentRun, script: Script): string {
  const env = run.env!;
  const { role, names } = askedFor(env);
  const bind = new Map(
    (env['TOR_PT_SERVER_BINDADDR'] ?? '').split(',').map((item): [string, string] => {
      const dash = item.indexOf('-');
      return [item.slice(0, dash), item.slice(dash + 1)];
    }),
  );
  const method = (name: string): string =>
    role === 'client'
      ? `CMETHOD ${name} socks5 ${run.socks.address}\n`
      : `SMETHOD ${name} ${bind.get(name) ?? '127.0.0.1:20460'}\n`;
  let said = '';
  for (const piece of script.says) {
    const text = piece
      .replaceAll('$METHODS', names.map(method).join(''))
      .replaceAll('$REVERSED', names.map(method).toReversed().join(''))
      .replaceAll('$FIRST', names.slice(0, -1).map(method).join(''))
      .replaceAll('$REST', names.slice(1).map(method).join(''))
      .replaceAll('$NAME', names[0] ?? '')
      .replaceAll('$LAST', names.at(-1) ?? '')
      .replaceAll('$SOCKS', run.socks.address)
      .replaceAll('$PORT', String(run.socks.endpoint.port))
      .replaceAll('$BIND', bind.get(names[0] ?? '') ?? '127.0.0.1:20460');
    said += text;
    for (const part of script.isCut === true ? text : [text]) {
      run.order({ type: 'write', text: part });
    }
  }
  if (script.then === 'exit') run.order({ type: 'exit', code: 0 });
  if (script.then === 'close stdout') run.order({ type: 'closeStdout' });
  const end = script.then === undefined ? '' : `, then ${endings[script.then]}`;
  return `${script.title}: ${shown(said.trimEnd().replaceAll('\n', ' / '))}${end}`;
}

const endings = { exit: 'the end', 'close stdout': 'stdout closed' } as const;

/** Watches until the parent has used or ended the PT, or has had its time. */
export async function watch(
  run: ParentRun,
  { then }: Pick<Script, 'then'>,
  connections: number,
  time: Time,
): Promise<Reaction> {
  // A PT that was told to leave is no parent's doing.
  const isGone = (): boolean => then !== 'exit' && run.has('gone');
  const hasEnded = (): boolean =>
    run.has('stdin end') || run.has('SIGTERM') || isGone() || run.end !== undefined;
  await run.until(() => run.conversations.length >= connections || hasEnded(), time);
  // The PT hears of its parent's death before the kit does.
  if (hasEnded()) await run.until(() => run.end !== undefined, run.pace.moment(DEATH_MS));
  const crash = run.end?.signal ?? null;
  if (crash !== null && crash !== 'SIGTERM' && crash !== 'SIGKILL') {
    return { outcome: 'crashed', description: `the parent died of ${crash}` };
  }
  if (run.conversations.length >= connections) {
    return { outcome: 'used', description: 'it used the PT' };
  }
  if (!hasEnded()) return { outcome: 'idle', description: 'it did nothing with the PT' };
  return { outcome: 'stopped', description: describeStop(run) };
}

function describeStop(run: ParentRun): string {
  if (run.end !== undefined) return `it ended itself with exit ${run.end.exitCode}`;
  if (run.has('SIGTERM')) return 'it stopped the PT';
  return run.has('stdin end') ? 'it closed the PT’s stdin' : 'it killed the PT';
}

/** How long a crash may take, core dump included. */
const DEATH_MS = 300;
