/**
 * `.ci/parts/nodes [--short]`: Postern on every Node of .ci/nodes.
 *
 * What is too old says so; every transport of ours but webtunnel carries bytes between a client on one Node
 * and a server on another, and UniformDH's vectors hold on each. Without `--short` all pairs are tried, and
 * then every test that needs no foreign program is run on each Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { nameOf, type Pairing, runPairing } from '../test/support/pairings.ts';
import type { PtProgram } from '../test/support/pt-programs.ts';
import { type NodeLine, lines, oldestNode, oldLines } from './lines.ts';
import { buildRoot, packageRoot } from './paths.ts';

const isShort = process.argv.includes('--short');
const bin = join(packageRoot, 'bin', 'postern');
const failures: string[] = [];

function report(what: string, problem: string | undefined): void {
  process.stdout.write(`${problem === undefined ? 'ok    ' : 'FAILED'} ${what}\n`);
  if (problem === undefined) return;
  process.stdout.write(`       ${problem}\n`);
  failures.push(what);
}

for (const line of oldLines) refuseOn(line);
await carryBetween(isShort ? neighbours() : allPairs());
for (const line of lines) await test(line, 'UniformDH', ['crypto/uniform-dh']);
if (!isShort) for (const line of lines) await test(line, 'portable tests', ['--portable']);

if (failures.length > 0) {
  process.stdout.write(`${failures.length} failed.\n`);
  process.exitCode = 1;
}

/** A Node that is too old: a sentence for a person, a line for a parent. */
function refuseOn({ version, path }: NodeLine): void {
  const sentence = `postern needs Node ${oldestNode} or later; this is Node ${version}\n`;
  const asked = (env: NodeJS.ProcessEnv): string => {
    const { status, stdout, stderr } = spawnSync(path, [bin], { env, encoding: 'utf8' });
    return JSON.stringify({ status, stdout, stderr });
  };
  const answers = [asked({}), asked({ TOR_PT_MANAGED_TRANSPORT_VER: '1' })];
  const expected = [
    { status: 1, stdout: '', stderr: sentence },
    { status: 1, stdout: `ENV-ERROR ${sentence}`, stderr: '' },
  ].map((answer) => JSON.stringify(answer));
  const isRight = answers.every((answer, index) => answer === expected[index]);
  report(`Node ${version} is told that it is too old`, isRight ? undefined : answers.join(' '));
}

function posternOn({ version, path }: NodeLine): PtProgram {
  return { name: `Node ${version}`, command: [path, bin] };
}

function pairOn(client: NodeLine, server: NodeLine): readonly Pairing[] {
  const programs = { client: posternOn(client), server: posternOn(server) };
  return (['obfs4', 'scramblesuit', 'obfs3', 'obfs2'] as const).map((transport) => {
    return { ...programs, transport };
  });
}

function allPairs(): readonly Pairing[] {
  return lines.flatMap((client) => lines.flatMap((server) => pairOn(client, server)));
}

/** Each line as the client of the next one, and the newest as the client of the oldest. */
function neighbours(): readonly Pairing[] {
  return lines.flatMap((client, index) => pairOn(client, lines[(index + 1) % lines.length]!));
}

async function carryBetween(pairings: readonly Pairing[]): Promise<void> {
  for (const pairing of pairings) {
    const cleanups: (() => void | Promise<void>)[] = [];
    try {
      // Many handshakes: a Node that computes otherwise has failed in half of them, not in all.
      const load = { bytes: 1_000_000, handshakes: 20 };
      const cleanup = { after: (step: () => void | Promise<void>) => void cleanups.push(step) };
      const result = await runPairing(cleanup, pairing, load);
      report(nameOf(pairing), result.failures[0]);
    } catch (error) {
      report(nameOf(pairing), String(error));
    } finally {
      for (const step of cleanups.toReversed()) await step();
    }
  }
}

/** Runs tests on a Node; what they print is kept in the build. */
async function test(
  { version, folder, path }: NodeLine,
  what: string,
  options: readonly string[],
): Promise<void> {
  const logs = join(buildRoot, 'field');
  mkdirSync(logs, { recursive: true });
  const log = join(logs, `${what.replaceAll(' ', '-')}-${version}.log`);
  const start = performance.now();
  const child = spawn(path, [join(buildRoot, 'scripts', 'run-tests.js'), ...options], {
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await pipeline(child.stdout, createWriteStream(log));
  const [exitCode] = (await exited) as [number | null];
  const printed = readFileSync(log, 'utf8');
  const seconds = Math.round((performance.now() - start) / 1000);
  const numbers = ['pass', 'fail', 'skipped'].map((name) => {
    return new RegExp(`^ℹ (${name} \\d+)$`, 'm').exec(printed)?.[1] ?? `${name} ?`;
  });
  report(
    `Node ${version}, ${what}: ${numbers.join(', ')}, ${seconds} s`,
    exitCode === 0 ? undefined : `see ${log}`,
  );
}
