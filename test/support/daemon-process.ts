import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { LoggedProcess } from './logged-process.ts';
import { postern } from './pt-programs.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** `postern run` as a process of its own, until the test has ended. */
export class DaemonProcess extends LoggedProcess {
  constructor(t: Cleanup, torrcPath: string, env?: NodeJS.ProcessEnv) {
    super('postern run', [...postern.command, 'run', '-f', torrcPath], env);
    t.after(() => this.kill());
  }

  /** The address in the first line, past or to come, that the pattern matches. */
  async address(pattern: RegExp): Promise<Endpoint> {
    return parseIpEndpoint((await this.line(pattern))[1]!)!;
  }
}
