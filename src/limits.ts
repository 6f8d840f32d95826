/**
 * Every cap on a buffer, a count or a time that a peer can drive.
 *
 * `docs/LIMITS.md` is generated from this table. Code reads `limits.name`; a limit with a `key` is
 * only a default, and the operator's value is handed in where the limit is enforced.
 */

/** What one limit is. */
export interface LimitEntry {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count';
  /** What would happen without it, one sentence. */
  readonly guards: string;
  /** The command-line option that changes it, where an operator would want one. */
  readonly key?: string;
}

const table = {
  ptLineBytes: {
    value: 65_536,
    unit: 'bytes',
    guards: 'A child that prints without a newline would fill the parent’s memory.',
  },

  // src/socks
  socksUserIdBytes: {
    value: 4096,
    unit: 'bytes',
    guards: 'A SOCKS4 client that never ends its USERID would fill the memory.',
  },
  socksHostBytes: {
    value: 255,
    unit: 'bytes',
    guards: 'A SOCKS4a client that never ends its host name would fill the memory.',
  },

  // src/extor
  extorBodyBytes: {
    value: 4096,
    unit: 'bytes',
    guards: 'Each Extended ORPort message of a hostile peer could hold 64 KiB.',
  },

  // src/net
  httpConnectHeadBytes: {
    value: 16_384,
    unit: 'bytes',
    guards: 'An HTTP proxy that never ends its response head would fill the memory.',
  },
  pendingHandshakes: {
    value: 8192,
    unit: 'count',
    guards: 'A flood of connections that never finish a handshake would fill the memory.',
  },
  dialTimeoutMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A target that drops packets would hold its SOCKS client for minutes.',
  },
  tunnelTimeoutMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A proxy that never answers would hold its SOCKS client without end.',
  },
  streamBufferBytes: {
    value: 262_144,
    unit: 'bytes',
    guards: 'A peer that reads nothing would make each direction of its connection grow without end.',
  },
} as const;

/** The closed union of limit names. */
export type LimitName = keyof typeof table;

/** The table of limits, for docs/LIMITS.md and for tests. */
export const limitTable: Readonly<Record<LimitName, LimitEntry>> = table;

/** The default value of each limit, in the unit that its name or row gives. */
export const limits: Readonly<Record<LimitName, number>> = Object.fromEntries(
  Object.entries(table).map(([name, entry]) => [name, entry.value]),
) as Record<LimitName, number>;
