/** `postern doctor`: looks at what `run --verify` and `check` do not see, then does both of them. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { PosternError } from '../../errors.ts';
import { placesIn } from '../../engine/places-in.ts';
import { type CommandContext, ExitCode } from '../context.ts';
import {
  daemonOptionsFor,
  lookAtBridges,
  lookAtDirectory,
  lookAtStart,
  readValues,
} from './configuration.ts';
import { type Finding, formatFinding, note } from './findings.ts';
import {
  lookAtAppArmor,
  lookAtBoxes,
  lookAtDescriptors,
  lookAtNode,
  lookAtPorts,
  type Machine,
} from './machine.ts';

/** The options of `postern doctor`. */
export interface DoctorOptions {
  readonly file?: string;
  readonly json?: true;
}

export async function run(context: CommandContext, options: DoctorOptions): Promise<number> {
  const machine: Machine = {
    root: '',
    nodeVersion: process.versions.node,
    nodePath: process.execPath,
    todayMs: Date.now(),
    uid: process.getuid?.() ?? 0,
  };
  const findings: Finding[] = [];
  const tell = (...found: readonly Finding[]): void => {
    findings.push(...found);
    if (options.json !== true) context.stdout.write(found.map(formatFinding).join(''));
  };
  tell(lookAtNode(machine), lookAtBoxes(), await lookAtDescriptors(machine));
  tell(...(await lookAtAppArmor(machine)));
  try {
    if (options.file !== undefined) await lookAtTorrc(context, options.file, machine, tell);
  } catch (error) {
    if (!context.stop.drain.aborted) throw error;
    return ExitCode.ok;
  }
  if (options.json === true) context.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  return findings.some(({ level }) => level === 'problem') ? ExitCode.failed : ExitCode.ok;
}

async function lookAtTorrc(
  context: CommandContext,
  file: string,
  machine: Machine,
  tell: (...found: readonly Finding[]) => void,
): Promise<void> {
  const home = context.env['HOME'] ?? homedir();
  const daemon = daemonOptionsFor(context, resolve(file), home);
  tell(...(await lookAtStart(daemon)));
  const values = await readValues(daemon).catch((error: unknown) => {
    // It has been told.
    if (error instanceof PosternError) return null;
    throw error;
  });
  if (values === null) return;
  if (values === undefined) {
    tell(
      note(
        'the torrc runs a real Tor, which reaches its bridges itself (to check one: postern check --tor LINE)',
      ),
    );
    return;
  }
  tell(...(await lookAtDirectory(values, home, machine.uid)));
  const ports = placesIn(values, home).flatMap((place) => ('port' in place ? place.port : []));
  tell(...(await lookAtPorts(machine, ports)));
  tell(...(await lookAtBridges(values, home, context.env, context.stop.drain)));
}
