/**
 * `postern/compliance`: whether a transport keeps to its contract.
 *
 * Every check runs the transport's own sessions over a connection in memory, without sockets and
 * without waiting. It needs no test runner: assert on the results in whichever you use.
 */
import { systemClock, type Clock } from '../../time.ts';
import { systemRng, type Rng } from '../../crypto/rng.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { Transport } from '../contract.ts';
import {
  checkAbort,
  checkArguments,
  checkBackPressure,
  checkFragmentation,
  checkHalfClose,
  checkLeftover,
  checkOwnership,
  checkProbing,
  checkReplay,
  checkTransfer,
  NotApplicable,
  type CheckContext,
} from './checks.ts';
import { checkMemory } from './memory-check.ts';
import { TestedBridge } from './tested-bridge.ts';
import { Violation } from './session-pair.ts';

/** The names of the checks; docs/write-a-transport.md says what each demands. */
export type CheckName =
  | 'arguments'
  | 'fragmentation'
  | 'leftover'
  | 'half-close'
  | 'back-pressure'
  | 'abort'
  | 'probing'
  | 'replay'
  | 'ownership'
  | 'transfer'
  | 'memory';

const checks: Readonly<Record<CheckName, (context: CheckContext) => void | Promise<void>>> = {
  arguments: checkArguments,
  fragmentation: checkFragmentation,
  leftover: checkLeftover,
  'half-close': checkHalfClose,
  'back-pressure': checkBackPressure,
  abort: checkAbort,
  probing: checkProbing,
  replay: checkReplay,
  ownership: checkOwnership,
  transfer: checkTransfer,
  memory: checkMemory,
};

/** All checks, in the order in which they are run. */
export const checkNames: readonly CheckName[] = Object.keys(checks) as CheckName[];

/** What `checkTransport` may be told about a transport. */
export interface ComplianceOptions {
  /** Options that a server needs. */
  readonly serverOptions?: KeyValues;
  /** Arguments of a client beyond those that the server publishes, or instead of them. */
  readonly clientArguments?: KeyValues;
  /** Argument lists that a client must refuse. */
  readonly wrongArguments?: readonly KeyValues[];
  /** Option lists that a server must refuse. */
  readonly wrongOptions?: readonly KeyValues[];
  /** Checks that this transport cannot pass by its design, each with the reason. */
  readonly notApplicable?: Readonly<Partial<Record<CheckName, string>>>;
  /** Which checks to run; all of them by default. */
  readonly only?: readonly CheckName[];
  /** How much `transfer` moves each way; 10 MB by default. */
  readonly transferBytes?: number;
  /** How much memory `memory` allows a session, or a pair of them: 64 KiB by default. */
  readonly sessionBytes?: number;
  /**
   * The bytes of memory that are in use, buffers included, after a full garbage collection (two of
   * them: V8 frees dead buffers in the background). Without it, `memory` is not applicable.
   */
  readonly measureMemory?: () => number;
  readonly rng?: Rng;
  readonly clock?: Clock;
}

/** The result of a check. */
export type CheckResult =
  | { readonly check: CheckName; readonly outcome: 'holds' }
  /** `reason` says what is broken, or why the check is not applicable. */
  | {
      readonly check: CheckName;
      readonly outcome: 'broken' | 'not applicable';
      readonly reason: string;
    };

/**
 * Runs a transport through the checks. Never rejects: a transport that throws is broken.
 *
 * @example
 *     const results = await checkTransport(rotByN, { serverOptions: [['N', '13']] });
 *     assert.deepEqual(results.filter(({ outcome }) => outcome === 'broken'), []);
 * @returns one result for each check, in the order of `checkNames`
 */
export async function checkTransport(
  transport: Transport,
  options: ComplianceOptions = {},
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checkNames) {
    if (options.only?.includes(check) === false) continue;
    const reason = options.notApplicable?.[check];
    results.push(
      reason === undefined
        ? await run(check, transport, options)
        : { check, outcome: 'not applicable', reason },
    );
  }
  return results;
}

async function run(
  check: CheckName,
  transport: Transport,
  options: ComplianceOptions,
): Promise<CheckResult> {
  try {
    await checks[check](await createContext(transport, options));
    return { check, outcome: 'holds' };
  } catch (error) {
    if (error instanceof NotApplicable) {
      return { check, outcome: 'not applicable', reason: error.message };
    }
    const reason = error instanceof Violation ? error.message : `it threw: ${String(error)}`;
    return { check, outcome: 'broken', reason };
  }
}

/** A bridge of its own for each check: none sees what another one leaves behind. */
async function createContext(
  transport: Transport,
  options: ComplianceOptions,
): Promise<CheckContext> {
  const setup = {
    rng: options.rng ?? systemRng,
    clock: options.clock ?? systemClock,
    serverOptions: options.serverOptions,
    clientArguments: options.clientArguments,
  };
  return {
    transport,
    setup,
    bridge: await TestedBridge.start(transport, setup),
    wrongArguments: options.wrongArguments ?? [],
    wrongOptions: options.wrongOptions ?? [],
    transferBytes: options.transferBytes ?? 10_000_000,
    sessionBytes: options.sessionBytes ?? 65_536,
    measureMemory: options.measureMemory,
  };
}
