/**
 * A child as its parent sees it: a state machine over the messages on its stdout (PT 3.3).
 *
 *     starting ── VERSION ──► versionAgreed ── PROXY DONE ──► proxyAccepted
 *                                  └───────── CMETHODS DONE ───────┴──────► ready
 *
 * (`ready` comes by SMETHODS DONE for a server, and straight from `versionAgreed` when no upstream proxy was
 * given.) LOG, STATUS and unknown lines change nothing in any stage. Everything that the table below does not
 * name for a stage fails the launch, as does a known keyword with malformed arguments; once the child is
 * ready, such lines are only reported.
 */
import { PosternError, type ErrorCode } from '../errors.ts';
import { isLoopback } from '../pt/address.ts';
import type {
  CmethodMessage,
  LogMessage,
  Message,
  ReceivedMessage,
  SmethodMessage,
  StatusMessage,
} from '../pt/messages.ts';
import { scrubAddresses } from '../pt/scrub.ts';

/** How far a child has come. */
export type Stage = 'starting' | 'versionAgreed' | 'proxyAccepted' | 'ready' | 'failed';

/** The messages that the stages tell apart. */
export type StagedKind = Exclude<Message['kind'], 'LOG' | 'STATUS'>;

/** Where each expected message leads; a message that is missing in a stage is not expected there. */
export type Transitions = Readonly<Record<Stage, Readonly<Partial<Record<StagedKind, Stage>>>>>;

const errors = { 'ENV-ERROR': 'failed', 'PROXY-ERROR': 'failed' } as const;
const start = {
  VERSION: 'versionAgreed',
  'VERSION-ERROR': 'failed',
  'ENV-ERROR': 'failed',
} as const;

const clientTransitions: Transitions = {
  starting: start,
  versionAgreed: {
    ...errors,
    'PROXY DONE': 'proxyAccepted',
    CMETHOD: 'versionAgreed',
    'CMETHOD-ERROR': 'versionAgreed',
    'CMETHODS DONE': 'ready',
  },
  proxyAccepted: {
    ...errors,
    CMETHOD: 'proxyAccepted',
    'CMETHOD-ERROR': 'proxyAccepted',
    'CMETHODS DONE': 'ready',
  },
  ready: {},
  failed: {},
};

const serverTransitions: Transitions = {
  starting: start,
  versionAgreed: {
    'ENV-ERROR': 'failed',
    SMETHOD: 'versionAgreed',
    'SMETHOD-ERROR': 'versionAgreed',
    'SMETHODS DONE': 'ready',
  },
  proxyAccepted: {},
  ready: {},
  failed: {},
};

/** The table of each role, for the machine and for the test that tries every other message. */
export const transitions: Readonly<Record<'client' | 'server', Transitions>> = {
  client: clientTransitions,
  server: serverTransitions,
};

/** What was asked of the child: its answers are checked against it. */
export interface ChildRequest {
  readonly role: 'client' | 'server';
  readonly versions: readonly string[];
  readonly transports: readonly string[];
  /** Whether TOR_PT_PROXY is set. */
  readonly hasUpstreamProxy: boolean;
}

/** A transport that listens, as its line said it. */
export type Method = CmethodMessage | SmethodMessage;

/** What a message comes to. */
export type ChildAction =
  | { readonly type: 'log'; readonly message: LogMessage }
  | { readonly type: 'status'; readonly message: StatusMessage }
  /** A line without effect, and why. */
  | { readonly type: 'ignored'; readonly reason: string }
  /** All transports have been started or have failed. */
  | { readonly type: 'ready' }
  /** The launch has failed: stop the child. */
  | { readonly type: 'failed'; readonly error: PosternError };

/** The state of one child. Nothing comes out of it after `failed` but reports of ignored lines. */
export class ChildMachine {
  readonly #request: ChildRequest;
  readonly #methods = new Map<string, Method>();
  readonly #failures = new Map<string, string>();
  #stage: Stage = 'starting';
  #reached: Stage = 'starting';

  constructor(request: ChildRequest) {
    this.#request = request;
  }

  /** How far the child has come, or had come when it failed. */
  get reached(): Stage {
    return this.#stage === 'failed' ? this.#reached : this.#stage;
  }

  /** The requested transports that listen, by name. */
  get methods(): ReadonlyMap<string, Method> {
    return this.#methods;
  }

  /** The requested transports that could not be started, with the child's own words. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /** A line was read. */
  receive(message: ReceivedMessage): readonly ChildAction[] {
    switch (message.kind) {
      case 'LOG':
        return [{ type: 'log', message }];
      case 'STATUS':
        return [{ type: 'status', message }];
      case 'unknown':
        return [{ type: 'ignored', reason: 'unknown keyword' }];
      case 'malformed': {
        const fault = `${message.keyword}: ${message.reason}`;
        // Version 1 knows neither LOG nor STATUS, so that these cannot break it [PT-3.3-07].
        const isFatal = !this.#isOver && message.keyword !== 'LOG' && message.keyword !== 'STATUS';
        return isFatal
          ? this.#fail('ERR_PARENT_PROTOCOL', fault)
          : [{ type: 'ignored', reason: fault }];
      }
      default:
        return this.#step(message);
    }
  }

  /** Stdout has ended. */
  receiveEnd(): readonly ChildAction[] {
    // PT 3.3.2 [PT-3.3.2-14]: no DONE, no start.
    return this.#isOver ? [] : this.#fail('ERR_PARENT_START_ENDED', 'stdout ended');
  }

  get #isOver(): boolean {
    return this.#stage === 'ready' || this.#stage === 'failed';
  }

  #step(message: Extract<Message, { kind: StagedKind }>): readonly ChildAction[] {
    if (this.#isOver) return [{ type: 'ignored', reason: `${message.kind} after the start` }];
    const next = transitions[this.#request.role][this.#stage][message.kind];
    if (next === undefined) {
      return this.#fail('ERR_PARENT_PROTOCOL', `${message.kind} is not expected here`);
    }
    const actions = this.#apply(message);
    if (this.#stage === 'failed') return actions;
    this.#stage = next;
    return next === 'ready' ? [{ type: 'ready' }] : actions;
  }

  /** Checks what a message says against what was asked, and takes it over. */
  #apply(message: Extract<Message, { kind: StagedKind }>): readonly ChildAction[] {
    switch (message.kind) {
      case 'VERSION':
        return this.#request.versions.includes(message.version)
          ? []
          : this.#fail('ERR_PARENT_VERSION', 'the program chose a version that was not offered');
      case 'VERSION-ERROR':
        return this.#fail('ERR_PARENT_VERSION', `${message.kind} ${message.text}`);
      case 'ENV-ERROR':
        return this.#fail('ERR_PARENT_CONFIGURATION', `${message.kind} ${message.text}`);
      case 'PROXY-ERROR':
        return this.#fail('ERR_PARENT_UPSTREAM_PROXY', `${message.kind} ${message.text}`);
      case 'PROXY DONE':
        return this.#request.hasUpstreamProxy
          ? []
          : this.#fail('ERR_PARENT_PROTOCOL', 'PROXY DONE without an upstream proxy');
      case 'CMETHODS DONE':
        // Else its traffic could bypass the upstream proxy [PT-3.3.2-03].
        return this.#request.hasUpstreamProxy && this.#stage !== 'proxyAccepted'
          ? this.#fail('ERR_PARENT_UPSTREAM_PROXY', 'CMETHODS DONE without PROXY DONE before it')
          : [];
      case 'SMETHODS DONE':
        return [];
      default:
        return this.#takeMethod(message);
    }
  }

  #takeMethod(message: Extract<Message, { transport: string }>): readonly ChildAction[] {
    const name = message.transport;
    if (!this.#request.transports.includes(name)) {
      return [
        { type: 'ignored', reason: `${message.kind} for a transport that was not requested` },
      ];
    }
    if (this.#methods.has(name) || this.#failures.has(name)) {
      return this.#fail('ERR_PARENT_PROTOCOL', `a second line for transport ${name}`);
    }
    if ('text' in message) {
      this.#failures.set(name, message.text);
      return [];
    }
    // A hostile child could have us hand bridge addresses and secrets to another machine.
    if (message.kind === 'CMETHOD' && !isLoopback(message.endpoint.host)) {
      return this.#fail('ERR_PARENT_PROTOCOL', `the address of CMETHOD ${name} is not loopback`);
    }
    this.#methods.set(name, message);
    return [];
  }

  #fail(code: ErrorCode, what: string): readonly ChildAction[] {
    this.#reached = this.#stage;
    this.#stage = 'failed';
    // The child's own words may hold a client's or a bridge's address.
    return [{ type: 'failed', error: new PosternError(code, scrubAddresses(what)) }];
  }
}
