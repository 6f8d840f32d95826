/** Debian's tor as a child process. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LoggedProcess } from './logged-process.ts';
import { peerProgram } from './peers.ts';

const tor = peerProgram('tor');

/** For `skip` of a test: why it cannot run, or false. */
export const torMissing: string | false = tor === undefined ? 'tor is not installed' : false;

/** A tor that runs, or has run. */
export class TorProcess extends LoggedProcess {
  readonly dataDirectory: string;

  /** @param dataDirectory - made when it is missing; the torrc is in it */
  constructor(name: string, dataDirectory: string, torrc: readonly string[]) {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    const file = writeTorrc(dataDirectory, torrc);
    super(name, [tor!, '--defaults-torrc', '/dev/null', '-f', file]);
    this.dataDirectory = dataDirectory;
  }

  /** Lets it read another torrc. */
  reload(torrc: readonly string[]): void {
    writeTorrc(this.dataDirectory, torrc);
    this.process.kill('SIGHUP');
  }
}

function writeTorrc(dataDirectory: string, torrc: readonly string[]): string {
  const path = join(dataDirectory, 'torrc');
  const lines = [
    `DataDirectory ${dataDirectory}`,
    // It looks now and then whether we live, and ends when we do not: also after our own SIGKILL.
    `__OwningControllerProcess ${process.pid}`,
    // What tor says about its pluggable transports and as an authority, whole; of the rest what matters.
    'Log [pt,dirserv]info notice stdout',
    'NumCPUs 1',
    // Reading the real tables takes longer than all the rest of a start.
    'GeoIPFile /dev/null',
    'GeoIPv6File /dev/null',
    ...torrc,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
