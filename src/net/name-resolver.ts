/**
 * Looks up host names that strangers ask for, so that nobody's lookups hold up anybody else's.
 *
 * Not by the system's resolver: Node runs that in the four threads that also serve all file access, and a
 * question to a silent name server cannot be cancelled.
 */
import { Resolver } from 'node:dns/promises';
import { addAbortListener } from 'node:events';
import { readFile } from 'node:fs/promises';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { bytesToIp, ipToBytes } from '../pt/address.ts';
import { systemTimers, type Timers } from '../time.ts';

/** What a name resolver may be given. */
export interface NameResolverOptions {
  readonly timers?: Timers;
  /** Name servers as `ip:port`; those of the system when not given. */
  readonly servers?: readonly string[];
  /** The hosts file: names in it are not asked for. */
  readonly hostsFile?: string;
}

/**
 * The addresses of a name, those of IPv4 first: from the hosts file, else by DNS, without search
 * domains. `localhost` is loopback whoever is asked (RFC 6761).
 *
 * @throws PosternError `ERR_DIAL_NAME_NOT_FOUND`, `ERR_DIAL_TIMED_OUT`, or the signal's reason
 */
export type ResolveName = (host: string, signal?: AbortSignal) => Promise<readonly string[]>;

/** A resolver for names that strangers ask for. */
export function createNameResolver({
  timers = systemTimers,
  servers,
  hostsFile = '/etc/hosts',
}: NameResolverOptions = {}): ResolveName {
  let pending = 0;
  return async (host, signal) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1'];
    if (!isHostName(name)) throw notFound();
    const listed = await lookInHosts(hostsFile, name);
    if (listed.length > 0) return listed;
    if (pending >= limits.nameLookups) {
      throw new PosternError('ERR_DIAL_FAILED', 'too many host names are being looked up');
    }
    pending += 1;
    try {
      return await askServers(name, servers, timers, signal);
    } finally {
      pending -= 1;
    }
  };
}

async function askServers(
  name: string,
  servers: readonly string[] | undefined,
  timers: Timers,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  signal?.throwIfAborted();
  // A resolver for each lookup: only all questions of one can be cancelled.
  const resolver = new Resolver({ timeout: limits.nameLookupMs / 2, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  let end: (reason: unknown) => void = () => {};
  const ended = new Promise<never>((_resolve, reject) => (end = reject));
  const cancelDeadline = timers.after(limits.nameLookupMs, () =>
    end(new PosternError('ERR_DIAL_TIMED_OUT', 'no name server answers')),
  );
  const abortion = signal && addAbortListener(signal, () => end(signal.reason));
  try {
    const families = Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const answers = await Promise.race([families, ended]);
    const addresses = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    );
    if (addresses.length > 0) return addresses;
    const [failure] = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as unknown] : [],
    );
    throw notFound(failure);
  } finally {
    cancelDeadline();
    abortion?.[Symbol.dispose]();
    resolver.cancel();
  }
}

/** What `hosts(5)` says: an address and its names on each line. */
async function lookInHosts(path: string, name: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const bytes = ipToBytes(address);
    const isNamed = names.some((candidate) => candidate.toLowerCase() === name);
    return bytes !== undefined && isNamed ? [bytesToIp(bytes)] : [];
  });
}

/** Letters, digits, `-`, `_` and dots; nothing that a C library might take for an address. */
function isHostName(name: string): boolean {
  const isPlain = name.length <= 253 && /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/.test(name);
  return isPlain && !/(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)$/.test(name);
}

function notFound(cause?: unknown): PosternError {
  return new PosternError('ERR_DIAL_NAME_NOT_FOUND', 'the host name does not resolve', { cause });
}
