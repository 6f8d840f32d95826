/**
 * Every cap on a buffer, a count or a time that a peer can drive.
 *
 * `docs/LIMITS.md` is generated from this table. Code reads `limits.name`. What an operator may want to
 * change is an option, in `config/options/`.
 */

/** What one limit is. */
export interface LimitEntry {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count';
  /** What would happen without it, one sentence. */
  readonly guards: string;
}

const table = {
  ptLineBytes: {
    value: 65_536,
    unit: 'bytes',
    guards: 'A child that prints without a newline would fill the parent’s memory.',
  },

  // src/crypto
  replayFilterEntries: {
    value: 102_400,
    unit: 'count',
    guards: 'Handshakes that must not be accepted twice would fill the memory.',
  },
  replayFilterTtlMs: {
    value: 10_800_000,
    unit: 'ms',
    guards: 'Handshakes would be remembered long after their epoch hour makes them worthless.',
  },

  // src/socks
  socksUserIdBytes: {
    value: 4096,
    unit: 'bytes',
    guards: 'A SOCKS4 client that never ends its USERID would fill the memory.',
  },
  socksHostBytes: {
    value: 255,
    unit: 'bytes',
    guards: 'A SOCKS4a client that never ends its host name would fill the memory.',
  },

  // src/extor
  extorBodyBytes: {
    value: 4096,
    unit: 'bytes',
    guards: 'Each Extended ORPort message of a hostile peer could hold 64 KiB.',
  },

  // src/net
  descriptorReserve: {
    value: 64,
    unit: 'count',
    guards:
      'Accepted connections would leave no file descriptor for others; they get half of what is left beside these.',
  },
  descriptorCheckMs: {
    value: 5_000,
    unit: 'ms',
    guards: 'An operator would never hear that file descriptors run out.',
  },
  resetCheckMs: {
    value: 10_000,
    unit: 'ms',
    guards:
      'A connection that its peer has reset while nobody read from it would be kept as long as the other side stays.',
  },
  halfClosedMs: {
    value: 300_000,
    unit: 'ms',
    guards:
      'A connection whose one direction has ended and whose other moves nothing would be kept for ever.',
  },
  httpConnectHeadBytes: {
    value: 32_768,
    unit: 'bytes',
    guards: 'An HTTP proxy that never ends its response head would fill the memory.',
  },
  pendingHandshakes: {
    value: 8192,
    unit: 'count',
    guards:
      'A flood of connections that never finish a handshake would fill the memory; the oldest that has sent least is rejected.',
  },
  pendingHandshakesOfPrefix: {
    value: 1024,
    unit: 'count',
    guards:
      'One network (IPv4 /24, IPv6 /48) could have all handshakes that wait; beyond its share its own make room.',
  },
  rejectedConnections: {
    value: 8192,
    unit: 'count',
    guards:
      'Strangers that are read and discarded until a timer closes them would fill the memory; the oldest is closed.',
  },
  dialTimeoutMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A target that drops packets would hold its SOCKS client for minutes.',
  },
  tunnelTimeoutMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A proxy that never answers would hold its SOCKS client without end.',
  },
  proxySilenceMs: {
    value: 3_000,
    unit: 'ms',
    guards: 'A proxy of another kind than configured would be waited for like a slow one.',
  },
  nameLookupMs: {
    value: 10_000,
    unit: 'ms',
    guards: 'A host name whose server is silent would be waited for without end.',
  },
  nameLookups: {
    value: 1_024,
    unit: 'count',
    guards: 'Host names that strangers ask for would use up the sockets.',
  },
  streamBufferBytes: {
    value: 262_144,
    unit: 'bytes',
    guards:
      'A peer that reads nothing would make each direction of its connection grow without end.',
  },

  tlsHandshakeMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A peer that begins TLS and says no more would hold its socket for ever.',
  },
  certificateCheckMs: {
    value: 10_000,
    unit: 'ms',
    guards:
      'A certificate that was renewed in its file would be used late, after the old one’s end.',
  },

  // src/transports/webtunnel
  upgradeMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A web server that never answers would hold its SOCKS client without end.',
  },
  webHeadBytes: {
    value: 32_768,
    unit: 'bytes',
    guards: 'A request or an answer whose head never ends would fill the memory.',
  },
  webLineBytes: {
    value: 8_192,
    unit: 'bytes',
    guards: 'One line of a request could be the whole of it; nginx has the same limit.',
  },
  webHeadMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A client that never ends its request would hold its socket for ever.',
  },
  webIdleMs: {
    value: 75_000,
    unit: 'ms',
    guards: 'A client that was answered and asks no more would hold its socket for ever.',
  },
  webRequests: {
    value: 1_000,
    unit: 'count',
    guards: 'One connection could ask a web site for pages without end.',
  },
  webBodyBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards: 'A client could send without end what nobody reads.',
  },

  // src/proxy
  pendingSocksRequests: {
    value: 8192,
    unit: 'count',
    guards:
      'Applications that connect to the SOCKS port and say nothing would use up its sockets; the oldest is closed.',
  },
  socksRequestTimeoutMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'A SOCKS client that never ends its request would hold its socket for ever.',
  },
  closeLingerMs: {
    value: 5_000,
    unit: 'ms',
    guards: 'A refused client that never closes would hold its socket for ever.',
  },
  logBacklogLines: {
    value: 200,
    unit: 'count',
    guards: 'Log lines that the parent or the disk does not take would fill the memory.',
  },
  finalFlushMs: {
    value: 500,
    unit: 'ms',
    guards: 'Output that nobody reads would keep a process that is to end.',
  },
  lastResortMs: {
    value: 2_000,
    unit: 'ms',
    guards: 'Whatever hangs, such as a disk that is gone, would keep a process that is to end.',
  },
  parentPollMs: {
    value: 1_000,
    unit: 'ms',
    guards: 'A killed parent would leave its child behind as an orphan.',
  },

  // src/parent
  childStartMs: {
    value: 30_000,
    unit: 'ms',
    guards:
      'A PT program that never reports CMETHODS DONE or SMETHODS DONE would be waited for without end.',
  },
  childStdinWaitMs: {
    value: 5_000,
    unit: 'ms',
    guards: 'A PT program that ignores its closed stdin would never be stopped.',
  },
  childTermWaitMs: {
    value: 5_000,
    unit: 'ms',
    guards: 'A PT program that ignores SIGTERM would never be stopped.',
  },
  childHurryMs: {
    value: 600,
    unit: 'ms',
    guards: 'A PT program that does not stop would hold up the end of a command, twice this long.',
  },
  childDrainMs: {
    value: 1_000,
    unit: 'ms',
    guards:
      'A grandchild that keeps a dead program’s pipes open would hold up the report of its end.',
  },
  childLogLines: {
    value: 20,
    unit: 'count',
    guards:
      'LOG lines and stderr of a PT program, each counted by the second, would fill the log; the rest is a count.',
  },
  childFloodMs: {
    value: 10_000,
    unit: 'ms',
    guards:
      'A PT program that writes as fast as it is read, or says too many LOG lines, would take a part of the CPU for ever.',
  },
  childStderrLines: {
    value: 40,
    unit: 'count',
    guards:
      'The stderr of a talkative PT program would fill the memory; only the last lines are kept.',
  },
  childStderrLineBytes: {
    value: 4_096,
    unit: 'bytes',
    guards: 'A PT program that writes stderr without a newline would fill the memory.',
  },
  childFailures: {
    value: 8,
    unit: 'count',
    guards: 'A PT program that fails at every start would be started for ever.',
  },
  extorHandshakeMs: {
    value: 10_000,
    unit: 'ms',
    guards:
      'A connection that never finishes the Extended ORPort exchange would hold its socket for ever.',
  },
  extorPendingConnections: {
    value: 4_096,
    unit: 'count',
    guards:
      'Connections that never finish the Extended ORPort exchange would use up the sockets; the oldest is closed.',
  },

  // src/config
  torrcBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards: 'A torrc that is really something else, such as a disk, would fill the memory.',
  },

  handshakeSilenceMs: {
    value: 8_000,
    unit: 'ms',
    guards:
      'Somebody with a wrong line or clock would look at a minute of silence; nothing ends by it.',
  },
  torrcIncludes: {
    value: 31,
    unit: 'count',
    guards: 'A torrc that includes itself would be read for ever. Tor’s own number.',
  },

  // src/control
  controlUnauthenticatedBodyBytes: {
    value: 1_024,
    unit: 'bytes',
    guards: 'Anyone who can reach the control port could make each connection hold 64 KiB.',
  },
  controlRefusedMessages: {
    value: 16,
    unit: 'count',
    guards: 'A program that never authenticates would be answered without end.',
  },
  controlWrongSecrets: {
    value: 3,
    unit: 'count',
    guards: 'One connection could try passphrase after passphrase.',
  },
  controlAuthenticationMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'Connections that never authenticate would hold their sockets for ever.',
  },
  controlMessageMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'A controller that begins a message and never ends it would hold its socket for ever.',
  },
  controlAnswerMs: {
    value: 1_000,
    unit: 'ms',
    guards: 'A change that takes its time would keep the daemon from ending.',
  },
  controlConnections: {
    value: 128,
    unit: 'count',
    guards:
      'Controllers, each with up to 16 MiB unread, would use up sockets and memory. Those of ControlSockets are counted apart; the oldest that has said nothing makes room.',
  },
  controlQueueMs: {
    value: 10_000,
    unit: 'ms',
    guards: 'A control socket whose queue others keep full would hold its controller for ever.',
  },
  controlGuests: {
    value: 128,
    unit: 'count',
    guards:
      'Connections to a control port that do not authenticate would use up sockets; the oldest is closed.',
  },
  controlUnsentBytes: {
    value: 16_777_216,
    unit: 'bytes',
    guards: 'A controller that reads nothing while events pour in would fill the memory.',
  },
  controlMappings: {
    value: 65_536,
    unit: 'count',
    guards: 'A controller that maps address after address would fill the memory.',
  },
  controlClientEvents: {
    value: 65_536,
    unit: 'count',
    guards: 'A server that pours out events before a reply would fill its client’s memory.',
  },

  // src/mux
  linkLookups: {
    value: 16,
    unit: 'count',
    guards: 'One client could have so many host names looked up that others had to wait.',
  },
  linkStreams: {
    value: 1_024,
    unit: 'count',
    guards: 'One client could open streams through a bridge without end.',
  },
  linkStreamWindowBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards:
      'An application that reads nothing would let its stream fill the memory. A stream begins with 262,144 bytes, which yamux grants unasked.',
  },
  linkBudgetBytes: {
    value: 67_108_864,
    unit: 'bytes',
    guards:
      'Streams whose readers have stopped would let a link fill the memory: 1,024 windows of up to 1 MiB are sixteen times this. Half full, windows grow no more; full, the stream that was last read from the longest ago is reset.',
  },
  peerBytesBudget: {
    value: 268_435_456,
    unit: 'bytes',
    guards:
      'Many links, each within its own budget, would together fill the memory. Over it the link that holds most is closed.',
  },
  muxFrameBytes: {
    value: 61_440,
    unit: 'bytes',
    guards: 'A stream with much to send would let the others wait for longer than a turn.',
  },
  muxUnackedStreams: {
    value: 256,
    unit: 'count',
    guards: 'Other yamux ends reset streams when more than 256 wait to be taken.',
  },
  muxControlFrames: {
    value: 8_192,
    unit: 'count',
    guards: 'A peer that asks without end and reads no answer would fill the memory.',
  },
  muxStrikes: {
    value: 4_096,
    unit: 'count',
    guards: 'A flood of frames that do nothing would keep the processor busy for nothing.',
  },
  muxStrikesPerSecond: {
    value: 200,
    unit: 'count',
    guards: 'An honest link that lives for long would use up what it may waste.',
  },
  muxHeaderMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'A peer that sends half of a frame’s header and waits would hold its link for ever.',
  },
  muxTurnMs: {
    value: 2,
    unit: 'ms',
    guards: 'One link full of tiny frames would keep the others from their turn.',
  },

  // src/engine
  logBacklogBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards: 'Log lines that a terminal or a disk does not take would fill the memory.',
  },
  linkOpenMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A bridge that accepts a connection and says nothing would hold up every stream.',
  },
  linkSilenceMs: {
    value: 20_000,
    unit: 'ms',
    guards: 'A bridge that vanished without a word would keep its streams waiting for ever.',
  },
  bridgeStaggerMs: {
    value: 700,
    unit: 'ms',
    guards: 'A bridge that says nothing would hold up the streams that another one could carry.',
  },
  bridgeSpreadMs: {
    value: 1_500,
    unit: 'ms',
    guards: 'The last of many bridges would get its turn late, and may be the only one that works.',
  },
  bridgeRetryMs: {
    value: 1_000,
    unit: 'ms',
    guards: 'A bridge that refuses connections would be dialled without a pause.',
  },
  bridgeRetryMaxMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A bridge that was away for long would be noticed late when it is back.',
  },
  streamCircuits: {
    value: 8,
    unit: 'count',
    guards: 'A stream that breaks every circuit could go from one to the next without end.',
  },
  streamAttachMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'An application would wait without end for a bridge to come back.',
  },
  streamConnectMs: {
    value: 75_000,
    unit: 'ms',
    guards: 'A bridge that never answers would hold an application without end.',
  },
  tunnelLinks: {
    value: 8_192,
    unit: 'count',
    guards:
      'Clients that open link after link would fill a bridge’s memory; the one that no stream has got through for longest is closed.',
  },
  tunnelIdleMs: {
    value: 600_000,
    unit: 'ms',
    guards: 'Links that nobody uses any more would stay open on a bridge.',
  },
  torFollowed: {
    value: 65_536,
    unit: 'count',
    guards:
      'A Tor that tells of circuits or streams and of no end of theirs would fill the memory.',
  },
  torProgramMs: {
    value: 20_000,
    unit: 'ms',
    guards: 'A program that is no Tor would be waited for without end when asked for its options.',
  },
  torStartMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A Tor that never opens its control socket would be waited for without end.',
  },

  // src/tor-control
  torControlLineBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards: 'A Tor, or what pretends to be one, that never ends a line would fill the memory.',
  },
  torControlReplyBytes: {
    value: 67_108_864,
    unit: 'bytes',
    guards: 'A reply without an end would fill the memory; all descriptors there are make 30 MB.',
  },
  torControlReplyLines: {
    value: 2_097_152,
    unit: 'count',
    guards: 'A reply of empty lines takes many times its bytes in memory.',
  },
  torControlCommandBytes: {
    value: 1_048_576,
    unit: 'bytes',
    guards: 'Tor closes the connection at a longer command, and all others that wait fail with it.',
  },
  torControlCommands: {
    value: 4_096,
    unit: 'count',
    guards: 'Commands to a Tor that does not answer would fill the memory.',
  },
  torControlEvents: {
    value: 4_096,
    unit: 'count',
    guards: 'A reader that is slower than Tor’s events would let them fill the memory.',
  },
  torControlConnectMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'What accepts a connection and says nothing would be waited for without end.',
  },
  torControlReplyMs: {
    value: 60_000,
    unit: 'ms',
    guards: 'A Tor that is stopped would be waited for without end.',
  },
  torControlRetryMs: {
    value: 500,
    unit: 'ms',
    guards: 'A Tor that is gone would be dialled without a pause.',
  },
  torControlRetryMaxMs: {
    value: 30_000,
    unit: 'ms',
    guards: 'A Tor that was away for long would be noticed late when it is back.',
  },

  // src/check
  checksAtATime: {
    value: 16,
    unit: 'count',
    guards: 'A long list of bridge lines would use up sockets, and slow each other’s figures down.',
  },

  // src/metrics
  metricsConnections: {
    value: 32,
    unit: 'count',
    guards: 'Whoever may come to the metrics could use up the sockets.',
  },
  metricsRequestMs: {
    value: 10_000,
    unit: 'ms',
    guards: 'Who connects to the metrics and asks nothing would hold a socket for ever.',
  },

  // src/engine
  heartbeatMs: {
    value: 21_600_000,
    unit: 'ms',
    guards: 'An operator who reads the log would not see that a quiet daemon lives.',
  },
} as const;

/** The closed union of limit names. */
export type LimitName = keyof typeof table;

/** The table of limits, for docs/LIMITS.md and for tests. */
export const limitTable: Readonly<Record<LimitName, LimitEntry>> = table;

/** The default value of each limit, in the unit that its name or row gives. */
export const limits: Readonly<Record<LimitName, number>> = Object.fromEntries(
  Object.entries(table).map(([name, entry]) => [name, entry.value]),
) as Record<LimitName, number>;
