/** The conformance kit as a command: it is a package of its own, which the rest knows by that alone. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Cleanup } from './pt-programs.ts';
import { packageRoot } from '../../scripts/paths.ts';
import { type Endpoint, formatEndpoint } from '../../src/pt/address.ts';

/** What the kit says about a control server. */
export interface KitReport {
  /** The clauses that are broken, with the evidence. */
  readonly broken: readonly unknown[];
  readonly holds: readonly string[];
  /** What could not be put back, and why there was no examination. */
  readonly said: string;
}

/**
 * Runs `postern-conform tc`, until the test has ended.
 *
 * @param address where the server listens
 * @param words its other options
 */
export async function examineTc(
  t: Cleanup,
  address: Endpoint | { readonly socketPath: string },
  words: readonly string[],
): Promise<KitReport> {
  const kit = join(packageRoot, 'conform', 'bin', 'postern-conform.js');
  const place = 'socketPath' in address ? `unix:${address.socketPath}` : formatEndpoint(address);
  const child = spawn(process.execPath, [kit, 'tc', place, '--json', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => void child.kill());
  const [json, said] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (json === '') throw new Error(`the kit has no verdict: ${said}`);
  const { clauses } = JSON.parse(json) as {
    clauses: { id: string; verdict: string; faults?: unknown }[];
  };
  return {
    broken: clauses
      .filter(({ verdict }) => verdict === 'broken')
      .map(({ id, faults }) => [id, faults]),
    holds: clauses.filter(({ verdict }) => verdict === 'holds').map(({ id }) => id),
    said,
  };
}
