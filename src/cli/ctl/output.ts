/** How `postern ctl` prints what it was told: tables for people, JSON for programs. */
import type { AddressMapping, ConfEntry, ControlEvent } from '../../control/messages.ts';
import type { CommandContext } from '../context.ts';
import { type DaemonStatus, formatStatus } from './status.ts';
import { formatTable } from '../table.ts';

/** Where results go. */
export interface CtlOutput {
  /** Aborted when nobody reads any more. */
  readonly closed: AbortSignal;
  /** @param keys what was asked for: a person is told of those without a value */
  entries(keys: readonly string[], entries: readonly ConfEntry[]): void;
  mappings(mappings: readonly AddressMapping[]): void;
  status(status: DaemonStatus): void;
  /**
   * One line for each event, with the time at which it came: JSON objects are one to a line, too.
   *
   * @param reason why a stream has failed, if that is known
   */
  event(event: ControlEvent, reason?: string): void;
}

/** The output on a context's stdout. */
export function createCtlOutput({ stdout }: CommandContext, json: boolean): CtlOutput {
  const closed = new AbortController();
  stdout.once('error', () => closed.abort());
  const write = (text: string): void => {
    stdout.write(text);
  };
  const writeJson = (value: unknown): void => write(`${JSON.stringify(value)}\n`);

  return {
    closed: closed.signal,
    entries(keys, entries) {
      if (json) return writeJson(entries);
      const answered = new Set(entries.map(({ key }) => key.toLowerCase()));
      const missing = keys.filter((key) => !answered.has(key.toLowerCase()));
      // The virtual key of a group is answered under the keys of its members.
      const unset = entries.length > 0 && missing.length === keys.length ? [] : missing;
      const rows = entries.map(({ key, value }) => [key, value]);
      write(formatTable([...rows, ...unset.map((key) => [key, '(not set)'])]));
    },
    mappings(mappings) {
      const pairs = mappings.map(({ original, replacement }) => [original.host, replacement.host]);
      if (json) writeJson(pairs.map(([from, to]) => ({ from, to })));
      else write(formatTable(pairs.map(([from, to]) => [from!, '→', to!])));
    },
    status(status) {
      if (json) writeJson(status);
      else write(formatStatus(status));
    },
    event(event, reason) {
      const now = new Date();
      const known = reason === undefined ? {} : { reason };
      if (json) {
        const body = event.type === 'unknown' ? { body: toHex(event.body) } : {};
        writeJson({ time: now.toISOString(), ...event, ...body, ...known });
        return;
      }
      const cells = [...describeEvent(event), ...(reason === undefined ? [] : [`(${reason})`])];
      write(formatTable([[formatTime(now), ...cells]], [8, 14, 14]));
    },
  };
}

/** The cells of an event's line. */
function describeEvent(event: ControlEvent): readonly string[] {
  switch (event.type) {
    case 'circuit':
      return [`circuit ${event.id}`, event.status, event.path.join(',')];
    case 'stream':
      return [`stream ${event.id}`, event.status, event.target];
    case 'orConnection':
      return ['or-connection', event.status, event.name];
    case 'bandwidth':
      return ['bandwidth', `${event.read} B/s read`, `${event.written} B/s written`];
    case 'log':
      return ['log', event.message];
    case 'unknown':
      return [`event ${event.code}`, 'unknown', toHex(event.body)];
    case 'malformed':
      return ['event', 'malformed', event.problem];
  }
}

/** Of the day, here. */
function formatTime(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
