/** What a parent sets in the environment of its PT. */
import { isAbsolute } from 'node:path';
import type { Findings } from '../findings.ts';
import { isTransportName, parseIpEndpoint } from 'postern/pt';
import { askedFor } from './performance.ts';
import type { Launch } from './recipes.ts';
import { type ParentRun, strayVariables } from './run.ts';

/** Judges the environment of one launch. */
export function judgeEnvironment(findings: Findings, run: ParentRun, launch: Launch): void {
  const env = run.env!;
  const { role, names } = askedFor(env);
  const sent = `a ${role} launch`;
  const check = (clauses: string, holds: boolean, variable: string, expected: string): void => {
    const value = env[`TOR_PT_${variable}`];
    const came = value === undefined ? `no TOR_PT_${variable}` : `TOR_PT_${variable}=${value}`;
    findings.judge(clauses, holds, { sent, came, expected });
  };
  const has = (variable: string): boolean => env[`TOR_PT_${variable}`] !== undefined;
  const get = (variable: string): string => env[`TOR_PT_${variable}`] ?? '';

  findings.judge('PT-3-01', names.length > 0 && run.parentPid === run.pid, {
    sent,
    came: `a PT with ${names.length} transports, started by process ${run.parentPid} (the parent is ${run.pid})`,
    expected: 'the variables present at the start, and the parent itself as the starting process',
  });
  for (const name of ['MANAGED_TRANSPORT_VER', 'STATE_LOCATION', 'EXIT_ON_STDIN_CLOSE']) {
    check('PT-3.2.1-01', has(name), name, `TOR_PT_${name} for every launch`);
  }
  const versions = get('MANAGED_TRANSPORT_VER').split(',');
  check(
    'PT-3.2.1-02 PT-3.2.1-04',
    versions.every((version) => /^[\x21-\x2b\x2d-\x7e]+$/.test(version)),
    'MANAGED_TRANSPORT_VER',
    'versions of printable ASCII, joined by commas',
  );
  check('PT-3.2.1-07', isAbsolute(get('STATE_LOCATION')), 'STATE_LOCATION', 'an absolute path');
  check('PT-3.2.1-13 PT-3.4-01', get('EXIT_ON_STDIN_CLOSE') === '1', 'EXIT_ON_STDIN_CLOSE', '1');
  if (role === 'client') {
    check('PT-3.2.2-03', names.every(isTransportName), 'CLIENT_TRANSPORTS', 'transport names');
    check('PT-3.2.2-03', !has('SERVER_TRANSPORTS'), 'SERVER_TRANSPORTS', 'none for a client');
    if (launch.upstream !== undefined) {
      check('PT-3.2.2-05', get('PROXY') === launch.upstream, 'PROXY', launch.upstream);
      return;
    }
    findings.judge('PT-3.2.2-09', !has('PROXY'), {
      sent: `${sent} without an upstream proxy, with TOR_PT_PROXY=${strayVariables['TOR_PT_PROXY']} in the parent’s own environment`,
      came: has('PROXY') ? `TOR_PT_PROXY=${get('PROXY')}` : 'no TOR_PT_PROXY',
      expected: 'no TOR_PT_PROXY',
    });
  } else {
    judgeServer(check, has, get, names, launch);
  }
}

type Check = (clauses: string, holds: boolean, variable: string, expected: string) => void;

function judgeServer(
  check: Check,
  has: (variable: string) => boolean,
  get: (variable: string) => string,
  names: readonly string[],
  launch: Launch,
): void {
  check('PT-3.2.3-03', names.every(isTransportName), 'SERVER_TRANSPORTS', 'transport names');
  check('PT-3.2.3-03', !has('CLIENT_TRANSPORTS'), 'CLIENT_TRANSPORTS', 'none for a server');
  const items = get('SERVER_BINDADDR').split(',');
  if (has('SERVER_BINDADDR')) {
    const bound = items.map((item) => item.slice(0, item.indexOf('-')));
    const addresses = items.map((item) => parseIpEndpoint(item.slice(item.indexOf('-') + 1)));
    const inOrder = names.filter((name) => bound.includes(name));
    const orderText = 'the transports in the order of TOR_PT_SERVER_TRANSPORTS';
    check('PT-3.2.3-10', bound.join() === inOrder.join(), 'SERVER_BINDADDR', orderText);
    const areAddresses = addresses.every((address) => address !== undefined);
    check('PT-3.2.3-12 PT-3.2.3-13', areAddresses, 'SERVER_BINDADDR', 'IP addresses with ports');
    const areUnique = new Set(bound).size === bound.length;
    check('PT-3.2.3-14', areUnique, 'SERVER_BINDADDR', 'one address for a transport');
  }
  if (launch.serverOptions === undefined) {
    const isLeftOut = !has('SERVER_TRANSPORT_OPTIONS');
    check('PT-3.2.3-07', isLeftOut, 'SERVER_TRANSPORT_OPTIONS', 'nothing without options');
  } else {
    const isEscaped = get('SERVER_TRANSPORT_OPTIONS') === launch.serverOptions;
    check('PT-3.2.3-05', isEscaped, 'SERVER_TRANSPORT_OPTIONS', launch.serverOptions);
  }
  if (launch.hasExtendedOrPort === true) {
    const isThere = parseIpEndpoint(get('EXTENDED_SERVER_PORT')) !== undefined;
    check('PT-3.2.3-18', isThere, 'EXTENDED_SERVER_PORT', 'the address of the Extended ORPort');
    check('PT-3.2.3-22', isAbsolute(get('AUTH_COOKIE_FILE')), 'AUTH_COOKIE_FILE', 'a path');
  } else {
    const isEmpty = has('EXTENDED_SERVER_PORT') && get('EXTENDED_SERVER_PORT') === '';
    check('PT-3.2.3-21', isEmpty, 'EXTENDED_SERVER_PORT', 'the variable with an empty value');
    check('PT-3.2.3-24', !has('AUTH_COOKIE_FILE'), 'AUTH_COOKIE_FILE', 'nothing, without the port');
  }
}
