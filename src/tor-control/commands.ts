import { PosternError } from '../errors.ts';
import type { TorConfEntry } from './events.ts';
import { formatSettings, formatWords, type TorSetting } from './format.ts';
import type { TorReply } from './messages.ts';
import { parseSetting } from './words.ts';

/** One mapping of MAPADDRESS. */
export interface TorAddressMapping {
  readonly original: string;
  readonly replacement: string;
}

/**
 * Tor's commands, typed where the engine or most controllers need them; `command` takes the rest.
 *
 * Every method rejects with a `TorRefusal` when Tor answers with an error, with
 * `ERR_TOR_CONTROL_COMMAND` when an argument cannot be sent, with `ERR_TOR_CONTROL_PROTOCOL` when the
 * answer is not of the command's form, and with what ended the connection when that comes first.
 */
export abstract class TorCommands {
  /**
   * Sends a command and resolves with its reply. Commands may be sent before earlier ones are
   * answered; replies come in the same order.
   *
   * @param line the keyword and its arguments, on one line, as in the control-spec
   * @param data the lines of a command that takes data, such as LOADCONF
   */
  abstract command(line: string, data?: string): Promise<TorReply>;

  /** GETINFO: the values by key; those of several lines are joined by LF. */
  async getInfo(...keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { lines } = await this.command(`GETINFO ${formatWords(keys)}`);
    // The last line is an OK.
    return new Map(
      lines.slice(0, -1).map(({ text, data }) => {
        const equals = text.indexOf('=');
        if (equals === -1) throw malformed('GETINFO');
        return [text.slice(0, equals), data ?? text.slice(equals + 1)];
      }),
    );
  }

  /**
   * GETCONF: the values in Tor's order, several for a list; undefined for what is unset or at a
   * default that Tor does not spell out.
   */
  async getConf(keys: readonly string[]): Promise<readonly TorConfEntry[]> {
    if (keys.length === 0) return []; // Tor says OK then, on the line where else a value stands
    const { lines } = await this.command(`GETCONF ${formatWords(keys)}`);
    return lines.map(({ text }) => parseSetting(text));
  }

  /** SETCONF: all of it or nothing. A key without a value goes back to null or 0, not the default. */
  async setConf(settings: readonly TorSetting[]): Promise<void> {
    await this.command(`SETCONF ${formatSettings(settings)}`);
  }

  /** RESETCONF: as `setConf`, but a key without a value goes back to its default. */
  async resetConf(settings: readonly TorSetting[]): Promise<void> {
    await this.command(`RESETCONF ${formatSettings(settings)}`);
  }

  /** LOADCONF: all options from the text of a torrc, in the place of those there are. */
  async loadConf(torrc: string): Promise<void> {
    await this.command('LOADCONF', torrc);
  }

  /** SAVECONF: Tor writes its options to its torrc. */
  async saveConf(): Promise<void> {
    await this.command('SAVECONF');
  }

  /** SIGNAL: `RELOAD`, `SHUTDOWN`, `HALT`, `DUMP`, `DEBUG`, `NEWNYM`, `CLEARDNSCACHE`… */
  async signal(name: string): Promise<void> {
    await this.command(`SIGNAL ${formatWords([name])}`);
  }

  /**
   * MAPADDRESS: connections for `original` go to `replacement` from now on. A null address
   * (`0.0.0.0`, `::`, `.`) lets Tor pick one; equal addresses remove the mapping. IPv6 comes in brackets.
   *
   * @returns the mappings in the same order, with the addresses that Tor picked
   * @throws TorRefusal when Tor refuses one of them; its `reply` tells which of the rest are made
   */
  async mapAddress(pairs: readonly TorAddressMapping[]): Promise<readonly TorAddressMapping[]> {
    if (pairs.length === 0) return [];
    const words = pairs.map(
      ({ original, replacement }) => `${formatWords([original])}=${formatWords([replacement])}`,
    );
    const { lines } = await this.command(`MAPADDRESS ${words.join(' ')}`);
    return lines.map(({ text }) => {
      const [original = '', replacement] = text.split('=');
      if (replacement === undefined) throw malformed('MAPADDRESS');
      return { original, replacement };
    });
  }

  /** SETEVENTS: the complete list of the events to be told of from now on; empty for none. */
  async setEvents(names: readonly string[]): Promise<void> {
    await this.command(names.length === 0 ? 'SETEVENTS' : `SETEVENTS ${formatWords(names)}`);
  }

  /** CLOSECIRCUIT: closes a circuit, or only if no stream uses it. */
  async closeCircuit(id: string, options: { readonly ifUnused?: boolean } = {}): Promise<void> {
    const flag = options.ifUnused === true ? ' IfUnused' : '';
    await this.command(`CLOSECIRCUIT ${formatWords([id])}${flag}`);
  }

  /** CLOSESTREAM: closes a stream, for a reason as in RELAY_END cells (tor-spec); 1 is MISC. */
  async closeStream(id: string, reason = 1): Promise<void> {
    await this.command(`CLOSESTREAM ${formatWords([id])} ${reason}`);
  }

  /** TAKEOWNERSHIP: Tor exits when this connection ends. */
  async takeOwnership(): Promise<void> {
    await this.command('TAKEOWNERSHIP');
  }
}

function malformed(command: string): PosternError {
  return new PosternError('ERR_TOR_CONTROL_PROTOCOL', `Tor answered ${command} in a wrong form`);
}
