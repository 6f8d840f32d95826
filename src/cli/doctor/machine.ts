/** What `doctor` looks at on the machine: Node, libsodium, descriptors, rights, tor's AppArmor profile. */
import { readFile } from 'node:fs/promises';
import { slowSecretboxNotice } from '../../crypto/secretbox.ts';
import { type Finding, note, ok, problem } from './findings.ts';

/** Where the machine is looked at; a test hands in another place. */
export interface Machine {
  /** The root of all paths. */
  readonly root: string;
  readonly nodeVersion: string;
  readonly nodePath: string;
  readonly todayMs: number;
  readonly uid: number;
}

/** The last day of each line of Node, as its project has announced it. */
const nodeEnds: Readonly<Record<string, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
};

/** Which Node it is, and how long that line is maintained. */
export function lookAtNode({ nodeVersion, todayMs }: Machine): Finding {
  const end = nodeEnds[nodeVersion.split('.')[0]!];
  if (end === undefined || todayMs < Date.parse(end)) return ok(`Node ${nodeVersion}`);
  return note(
    `Node ${nodeVersion} has had no security fixes from its project since ${end}; some distributions make their own`,
    'install a newer Node (https://nodejs.org/), or keep that of your distribution up to date',
  );
}

/** Whether encryption runs in C. */
export function lookAtBoxes(): Finding {
  return slowSecretboxNotice === undefined
    ? ok('libsodium does the encryption')
    : note(
        slowSecretboxNotice,
        'use Linux on x64 or arm64 with glibc, or expect a tenth of the speed',
      );
}

const FEW_DESCRIPTORS = 8192;

/** How many connections there may be. */
export async function lookAtDescriptors(machine: Machine): Promise<Finding> {
  const text = await read(machine, '/proc/self/limits');
  const limit = Number(/^Max open files +\d+ +(\d+)/m.exec(text ?? '')?.[1]);
  if (Number.isNaN(limit)) return note('the system does not tell how many files may be open');
  // Node raises the soft limit to the hard one.
  if (limit >= FEW_DESCRIPTORS) return ok(`${limit} files may be open`);
  return note(
    `${limit} files may be open, enough for about ${Math.max(1, Math.floor((limit - 64) / 2))} connections`,
    'LimitNOFILE=65536 in the systemd unit, or `ulimit -n 65536` in the shell that starts it',
  );
}

/** Whether ports below 1024 can be listened on. */
export async function lookAtPorts(machine: Machine, ports: readonly number[]): Promise<Finding[]> {
  const first = Number(
    (await read(machine, '/proc/sys/net/ipv4/ip_unprivileged_port_start')) ?? 1024,
  );
  const low = ports.filter((port) => port > 0 && port < first);
  if (low.length === 0) return [];
  const status = (await read(machine, '/proc/self/status')) ?? '';
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const mayBind = machine.uid === 0 || (effective >> NET_BIND_SERVICE) % 2n === 1n;
  const names = low.join(', ');
  if (mayBind) return [ok(`this process may listen on port ${names}, which not everybody may`)];
  return [
    problem(
      `port ${names} is below ${first}, and this user may not listen there`,
      'AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit (examples/postern.service),\n' +
        `or for every script of this Node: sudo setcap cap_net_bind_service=+ep ${machine.nodePath}`,
    ),
  ];
}

/** CAP_NET_BIND_SERVICE in linux/capability.h. */
const NET_BIND_SERVICE = 10n;

/** Whether Debian's profile lets tor start us. */
export async function lookAtAppArmor(machine: Machine): Promise<Finding[]> {
  const profile = await read(machine, '/etc/apparmor.d/system_tor');
  const isOn =
    (await read(machine, '/sys/module/apparmor/parameters/enabled'))?.startsWith('Y') === true;
  if (profile === undefined || !isOn) return [];
  const local = (await read(machine, '/etc/apparmor.d/local/system_tor')) ?? '';
  const allows = /^\s*\/\S*postern\S*\s+\w*[PUi]\w*x/m.test(local.replace(/^\s*#.*$/gm, ''));
  if (allows) return [ok('tor’s AppArmor profile lets it start postern')];
  return [
    note(
      'tor’s AppArmor profile does not let it start postern as a transport (Debian’s tor service alone is bound by it)',
      "echo '/usr/local/bin/postern PUx,' | sudo tee -a /etc/apparmor.d/local/system_tor &&\n" +
        'sudo apparmor_parser -r /etc/apparmor.d/system_tor',
    ),
  ];
}

async function read({ root }: Machine, path: string): Promise<string | undefined> {
  return readFile(`${root}${path}`, 'latin1').catch(() => undefined);
}
