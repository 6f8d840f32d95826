/** The kit against TC servers with one fault at a time. */
import type { ClauseReport } from '../src/findings.ts';
import { examineTc, type TcOptions } from '../src/tc/index.ts';
import {
  type FaultyTcServer,
  startFaultyTcServer,
  type TcVariant,
} from './support/faulty-tc-server.ts';
import { testFaults } from './examine.ts';
import type { TcFaults } from './tc-faults.ts';

/** What may be done to a server that is only there to be examined. */
export const everything: NonNullable<TcOptions['permissions']> = {
  saveconf: true,
  reload: true,
  flood: true,
  shutdown: true,
};

/** Examines the faulty server in every way; it is gone then. */
export async function examineFaultyTc(
  fault: string,
  variant: TcVariant,
  options: Partial<TcOptions> = {},
): Promise<readonly ClauseReport[]> {
  const server = await startFaultyTcServer(fault, variant);
  try {
    return await examineTc({ ...optionsFor(server), permissions: everything, ...options });
  } finally {
    server.close();
  }
}

/** Where a faulty server is, and how one gets in. */
export function optionsFor({ address, socks, secret }: FaultyTcServer): TcOptions {
  const { signal } = new AbortController();
  return { address, socks, signal, ...(secret !== undefined && { secret }) };
}

/** A test for each fault. */
export function testTcFaults(faults: TcFaults): void {
  const examine = (
    [variant, fault]: TcFaults[number],
    only: readonly string[],
  ): Promise<readonly ClauseReport[]> => {
    const halt = only.includes('TC-3.10-07');
    const permissions = { ...everything, halt, shutdown: !halt };
    // Waiting for what a fault leaves out is most of the time that these tests take.
    return examineFaultyTc(fault, variant, { only, patienceMs: 1000, permissions });
  };
  testFaults('TC server', faults, examine, 4);
}
