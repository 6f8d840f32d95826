/** What `doctor` looks at in a torrc: its data directory, its ports, whether it starts, its bridges. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkBridges } from '../../check/check.ts';
import { expandPath, localDefaults, torrcFile } from '../../config/node.ts';
import type { OptionValues } from '../../config/options.ts';
import { ConfigStore, readTorrc } from '../../config/store.ts';
import { readEngine } from '../../config/vocabulary.ts';
import { Daemon } from '../../engine/daemon.ts';
import type { DaemonOptions } from '../../engine/daemon-options.ts';
import { dataDirectory } from '../../engine/data-directory.ts';
import { PosternError } from '../../errors.ts';
import { type BridgeLine, formatBridgeLine } from '../../pt/bridge-line.ts';
import { formatUpstreamProxy } from '../../pt/upstream-proxy.ts';
import { upstreamProxy } from '../../engine/embedded/client-transports.ts';
import type { CommandContext } from '../context.ts';
import { type Finding, note, ok, problem } from './findings.ts';

/** The options of a daemon that is not started. */
export function daemonOptionsFor(
  context: CommandContext,
  path: string,
  home: string,
): DaemonOptions {
  const { env, stdout, stderr, ownCommand } = context;
  const defaults = localDefaults(env, home);
  return { torrc: torrcFile(path), localDefaults: defaults, home, env, stdout, stderr, ownCommand };
}

/** The values of a torrc for the embedded engine; undefined for one that asks for a Tor. */
export async function readValues(options: DaemonOptions): Promise<OptionValues | undefined> {
  if (readEngine(await readTorrc(options.torrc)) === 'tor') return undefined;
  return (await ConfigStore.open(options.torrc, options.localDefaults)).current.values;
}

/** `run --verify`. */
export async function lookAtStart(options: DaemonOptions): Promise<Finding[]> {
  try {
    const notes = await Daemon.verify(options);
    return [
      ...notes.map((text) => note(text)),
      ok('the torrc is valid, and what it names is there'),
    ];
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    return [problem(error.message, error.remedy)];
  }
}

const LITTLE_SPACE_BYTES = 64e6;

/** Who owns it, who may read it, and how much space is left. */
export async function lookAtDirectory(
  values: OptionValues,
  home: string,
  uid: number,
): Promise<Finding[]> {
  const path = dataDirectory(values, home);
  const there = await nearestThere(path);
  const findings: Finding[] = [];
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  if (free < LITTLE_SPACE_BYTES) {
    findings.push(
      problem(`the disk of ${path} has ${Math.floor(free / 1e6)} MB left`, `df -h ${there}`),
    );
  }
  const info = await stat(there);
  if (there !== path) {
    const mayMake = await access(there, constants.W_OK).then(
      () => true,
      () => false,
    );
    return mayMake
      ? [...findings, ok(`${path} does not exist yet, and can be made`)]
      : [
          ...findings,
          problem(
            `${path} does not exist, and this user may not make it`,
            `sudo install -d -m 700 -o ${uid} ${path}`,
          ),
        ];
  }
  if (info.uid !== uid) {
    findings.push(
      problem(
        `${path} belongs to the user ${info.uid}, and this is ${uid}: run doctor as the user of the daemon`,
        `sudo chown -R ${uid} ${path}`,
      ),
    );
  }
  if ((info.mode & 0o077) !== 0) {
    findings.push(
      problem(`${path} is open to others, and keeps identities and cookies`, `chmod 700 ${path}`),
    );
  }
  if (findings.length === 0) {
    findings.push(
      ok(`${path} is this user’s own, and there are ${Math.floor(free / 1e6)} MB left`),
    );
  }
  return findings;
}

async function nearestThere(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || path === dirname(path) ? path : nearestThere(dirname(path));
}

/** `check` of the bridges that are in use. */
export async function lookAtBridges(
  values: OptionValues,
  home: string,
  env: CommandContext['env'],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (!values.UseBridges) return [];
  const upstream = upstreamProxy(values);
  const programOf = ({ transport }: BridgeLine) =>
    values.ClientTransportPlugin.find(({ transports }) => transports.includes(transport ?? ''))
      ?.command;
  const findings = await Promise.all(
    values.Bridge.map(async (bridge, index): Promise<Finding> => {
      const command = programOf(bridge);
      const [report] = await checkBridges([formatBridgeLine(bridge)], {
        signal,
        // As the daemon does, which looks for it in no search path.
        ...(command !== undefined && {
          program: { command: [expandPath(command[0], home), ...command.slice(1)], env },
        }),
        ...(upstream !== undefined && { upstreamProxy: formatUpstreamProxy(upstream) }),
      });
      const name = `bridge ${index + 1} (${bridge.transport ?? 'no transport'})`;
      const { outcome, failure, notes } = report!;
      if (outcome === 'well') {
        return notes.length === 0
          ? ok(`${name} works`)
          : note(`${name} works, but: ${notes.join('; ')}`);
      }
      const { message, meanings, advice } = failure!;
      return problem(
        `${name}: ${message}. ${meanings[0] ?? ''}`,
        `${advice} (postern check says more)`,
      );
    }),
  );
  return findings;
}
