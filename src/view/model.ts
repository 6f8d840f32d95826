/**
 * What a controller sees of a daemon: made of a dump and of the events after it, and of nothing that TC does
 * not give. What has ended is forgotten; the log and the bandwidth keep their last entries.
 */
import { type DumpLine, parseDumpLine } from '../control/dump.ts';
import type { ControlEvent } from '../control/messages.ts';

/** A circuit that stands or is being built. */
export interface CircuitView {
  readonly status: string;
  readonly path: readonly string[];
}

/** A stream that has not ended. */
export interface StreamView {
  readonly status: string;
  readonly target: string;
  /** Where that is known: from a dump. */
  readonly circuit?: number;
}

/** A second of bandwidth, in bytes. */
export interface BandwidthSample {
  readonly read: number;
  readonly written: number;
}

/** How many seconds of bandwidth are kept. */
export const BANDWIDTH_SECONDS = 300;
/** How many lines of the log are kept. */
export const LOG_LINES = 500;
/** How many circuits, streams and links are kept each, so that a flood of them fills nothing. */
const MAX_ENTRIES = 2000;

/** The state of a view. */
export class ViewModel {
  readonly circuits: Map<number, CircuitView> = new Map();
  readonly streams: Map<number, StreamView> = new Map();
  /** Links by name, with their status. */
  readonly links: Map<string, string> = new Map();
  readonly bandwidth: BandwidthSample[] = [];
  /** How many seconds of it have come in all. */
  seconds = 0;
  readonly log: { readonly epochMs: number; readonly message: string }[] = [];
  /** How many lines of it have come in all. */
  lines = 0;
  process: Extract<DumpLine, { kind: 'process' }> | undefined;
  bridge: Extract<DumpLine, { kind: 'bridge' }> | undefined;

  /** Forgets all: a new connection was made, whose dump comes next. */
  clear(): void {
    this.circuits.clear();
    this.streams.clear();
    this.links.clear();
    this.process = undefined;
    this.bridge = undefined;
  }

  /** @param epochMs when it came */
  apply(event: ControlEvent, epochMs: number): void {
    switch (event.type) {
      case 'circuit':
        if (event.status === 'closed' || event.status === 'failed') this.circuits.delete(event.id);
        else keep(this.circuits, event.id, { status: event.status, path: event.path });
        break;
      case 'stream':
        if (event.status === 'closed' || event.status === 'failed') this.streams.delete(event.id);
        else {
          const { circuit } = this.streams.get(event.id) ?? {};
          const { status, target } = event;
          keep(this.streams, event.id, {
            status,
            target,
            ...(circuit !== undefined && { circuit }),
          });
        }
        break;
      case 'orConnection':
        if (event.status === 'closed' || event.status === 'failed') this.links.delete(event.name);
        else keep(this.links, event.name, event.status);
        break;
      case 'bandwidth':
        this.seconds += 1;
        this.bandwidth.push({ read: event.read, written: event.written });
        if (this.bandwidth.length > BANDWIDTH_SECONDS) this.bandwidth.shift();
        break;
      case 'log':
        this.#log(event.message, epochMs);
        break;
      default:
        break;
    }
  }

  #log(message: string, epochMs: number): void {
    const line = parseDumpLine(message);
    if (line !== undefined) this.#applyDump(line);
    this.lines += 1;
    this.log.push({ epochMs, message });
    if (this.log.length > LOG_LINES) this.log.shift();
  }

  #applyDump(line: DumpLine): void {
    switch (line.kind) {
      case 'link':
        keep(this.links, line.name, 'connected');
        break;
      case 'circuit':
        keep(this.circuits, line.id, { status: 'built', path: line.path });
        break;
      case 'stream': {
        const { id, target, circuit } = line;
        // An event has the target, where a log that scrubs does not.
        const known = this.streams.get(id);
        const status = known?.status ?? (circuit === undefined ? 'new' : 'succeeded');
        keep(this.streams, id, {
          status,
          target: known?.target ?? target,
          ...(circuit !== undefined && { circuit }),
        });
        break;
      }
      case 'bridge':
        this.bridge = line;
        break;
      case 'process':
        this.process = line;
        break;
      case 'counts':
        break;
    }
  }
}

function keep<Key, Value>(entries: Map<Key, Value>, key: Key, value: Value): void {
  entries.set(key, value);
  const [oldest] = entries.size > MAX_ENTRIES ? entries.keys() : [];
  if (oldest !== undefined) entries.delete(oldest);
}
