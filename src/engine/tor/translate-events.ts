/** Tor's events as TC tells them (TC 3.7): fewer states, 32-bit numbers that are never used twice. */
import type { EngineEvent } from '../../control/engine.ts';
import type { EventStatus } from '../../control/messages.ts';
import { limits } from '../../limits.ts';
import { formatEndpoint } from '../../pt/address.ts';
import type {
  TorCircuitEvent,
  TorEvent,
  TorOrConnectionEvent,
  TorRelay,
  TorStreamEvent,
} from '../../tor-control/events.ts';

/** A circuit or a stream that has not ended. */
interface Known {
  readonly id: number;
  /** The path of a circuit, or the target of a stream. */
  readonly what: readonly string[];
}

/**
 * Translates what Tor tells while it runs, and what is to be told when it is gone. Tor begins to count
 * anew whenever it is started, so the numbers of TC are not Tor's.
 */
export class EventTranslator {
  readonly #circuits = new Map<string, Known>();
  readonly #streams = new Map<string, Known>();
  /** The names of connections to relays, by Tor's number for them. */
  readonly #connections = new Map<string, string>();
  #circuitCount = 0;
  #streamCount = 0;

  /** The event in TC's terms; undefined for one that TC has no words for. */
  translate(event: TorEvent): EngineEvent | undefined {
    switch (event.type) {
      case 'circuit':
        return this.#circuit(event);
      case 'stream':
        return this.#stream(event);
      case 'orConnection':
        return this.#orConnection(event);
      case 'bandwidth':
        return { type: 'bandwidth', read: event.readBytes, written: event.writtenBytes };
      default:
        return undefined;
    }
  }

  /** Tor is gone: the events that end its streams and its circuits, streams first. */
  loseAll(): readonly EngineEvent[] {
    const status = 'failed';
    const lost: readonly EngineEvent[] = [
      ...[...this.#streams.values()].map(({ id, what }): EngineEvent => ({
        type: 'stream',
        status,
        id,
        target: what[0]!,
      })),
      ...[...this.#circuits.values()].map(({ id, what }): EngineEvent => ({
        type: 'circuit',
        status,
        id,
        path: what,
      })),
      ...[...this.#connections.values()].map((name): EngineEvent => ({
        type: 'orConnection',
        status: 'closed',
        name,
      })),
    ];
    this.#streams.clear();
    this.#circuits.clear();
    this.#connections.clear();
    return lost;
  }

  #circuit({ id: torId, status: torStatus, path }: TorCircuitEvent): EngineEvent | undefined {
    const status = circuitStatuses.get(torStatus);
    if (status === undefined) return undefined;
    const names = path.map(nameOf);
    const ends = status === 'failed' || status === 'closed';
    const earlier = this.#circuits.get(torId);
    // The end of a circuit of which nothing was told, or of one that has ended already.
    if (earlier === undefined && (ends || isFull(this.#circuits))) return undefined;
    const id = earlier?.id ?? nextId(this.#circuitCount++);
    if (ends) this.#circuits.delete(torId);
    else this.#circuits.set(torId, { id, what: names });
    return { type: 'circuit', status, id, path: status === 'launched' ? [] : names };
  }

  #stream(event: TorStreamEvent): EngineEvent | undefined {
    const { id: torId, status: torStatus } = event;
    const earlier = this.#streams.get(torId);
    // As the application asked for it: with a mapping, later events name another target.
    const target = earlier?.what[0] ?? formatEndpoint(event);
    const ends = torStatus === 'FAILED' || torStatus === 'CLOSED';
    // Tor closes what has failed; TC ends a stream once.
    if (earlier === undefined && (ends || isFull(this.#streams))) return undefined;
    const known = earlier ?? { id: nextId(this.#streamCount++), what: [target] };
    if (ends) this.#streams.delete(torId);
    else this.#streams.set(torId, known);
    const status = streamStatuses.get(torStatus);
    return status && { type: 'stream', status, id: known.id, target };
  }

  #orConnection(event: TorOrConnectionEvent): EngineEvent | undefined {
    const status = orConnectionStatuses.get(event.status);
    if (status === undefined) return undefined;
    const { target, id: torId } = event;
    const name = 'host' in target ? formatEndpoint(target) : nameOf(target);
    if (torId !== undefined) {
      if (status === 'failed' || status === 'closed') this.#connections.delete(torId);
      else if (!isFull(this.#connections)) this.#connections.set(torId, name);
    }
    return { type: 'orConnection', status, name };
  }
}

/** Of a Tor that ends nothing no further circuits and streams are kept. */
function isFull({ size }: ReadonlyMap<string, unknown>): boolean {
  return size >= limits.torFollowed;
}

/** The nickname if it says anything, else the fingerprint (the reading of TC-3.7-10). */
function nameOf({ fingerprint, nickname }: TorRelay): string {
  const isNamed = nickname !== undefined && nickname !== 'Unnamed';
  return isNamed || fingerprint === undefined ? (nickname ?? '') : `$${fingerprint}`;
}

/** Wraps after four thousand million. */
function nextId(count: number): number {
  return (count + 1) >>> 0;
}

/** GUARD_WAIT has no counterpart: BUILT follows, or the end. */
const circuitStatuses: ReadonlyMap<string, EventStatus['circuit']> = new Map([
  ['LAUNCHED', 'launched'],
  ['BUILT', 'built'],
  ['EXTENDED', 'extended'],
  ['FAILED', 'failed'],
  ['CLOSED', 'closed'],
]);

const streamStatuses: ReadonlyMap<string, EventStatus['stream']> = new Map([
  ['SENTCONNECT', 'sentConnect'],
  ['SENTRESOLVE', 'sentResolve'],
  ['SUCCEEDED', 'succeeded'],
  ['FAILED', 'failed'],
  ['CLOSED', 'closed'],
]);

/** NEW is a connection that a peer launched. */
const orConnectionStatuses: ReadonlyMap<string, EventStatus['orConnection']> = new Map([
  ['LAUNCHED', 'launched'],
  ['CONNECTED', 'connected'],
  ['FAILED', 'failed'],
  ['CLOSED', 'closed'],
]);
