/**
 * Every error that Postern throws on purpose: one class, one closed table of codes.
 *
 * Match on `error.code`, never on the text. A message says what happened; `remedy`, from the table,
 * says what to do about it. No message holds a secret, a cookie or a full address.
 * `docs/ERRORS.md` is generated from this table.
 */

/** What one code means. */
export interface ErrorEntry {
  /** Whose fault it is: ours or our user's (`local`), or the other end's (`remote`). */
  readonly side: 'local' | 'remote';
  /** Whether the same call may succeed later without any change. */
  readonly retry: 'never' | 'later';
  /** What happened, one sentence. */
  readonly summary: string;
  /** What the reader does about it, one sentence. */
  readonly remedy: string;
  /** The SOCKS5 reply code (RFC 1928, section 6) that a SOCKS client is told; 0x01 when absent. */
  readonly socksReply?: number;
}

const table = {
  // src/bytes
  ERR_BYTES_TRUNCATED: {
    side: 'remote',
    retry: 'never',
    summary: 'A complete message is shorter than its own fields say.',
    remedy: 'The peer is broken or hostile; nothing to do at this end.',
  },
  ERR_BYTES_OVERFLOW: {
    side: 'remote',
    retry: 'never',
    summary: 'A peer sent more than the limit for what was being read.',
    remedy:
      'The other end is broken or hostile; run `postern explain` for the limits, which are fixed.',
  },

  // src/crypto
  ERR_PASSPHRASE_HASH: {
    side: 'local',
    retry: 'never',
    summary: 'A hashed passphrase does not have its format.',
    remedy: 'Copy the whole line that `postern hash-password` prints, 16: included.',
  },

  // src/pt
  ERR_PT_NAME: {
    side: 'local',
    retry: 'never',
    summary: 'A transport name is not a C identifier, or a list of names is malformed.',
    remedy: 'Use letters, digits and underscores, no digit first; separate names by single commas.',
  },
  ERR_PT_VERSION: {
    side: 'local',
    retry: 'never',
    summary: 'A list of specification versions is malformed.',
    remedy: 'Use printable ASCII without spaces; separate versions by single commas.',
  },
  ERR_PT_ENVIRONMENT: {
    side: 'local',
    retry: 'never',
    summary: 'A TOR_PT_ value is missing, malformed or contradicts another one.',
    remedy: 'Correct the setting that the message names.',
  },
  ERR_PT_UPSTREAM_PROXY: {
    side: 'local',
    retry: 'never',
    summary: 'The upstream proxy’s URI is malformed, or of a kind that cannot be used.',
    remedy: 'Write socks5://, socks4a:// or http://, then [user[:password]@]ip:port.',
  },
  ERR_PT_MESSAGE: {
    side: 'local',
    retry: 'never',
    summary: 'A message for stdout cannot be written as one line of the specification’s grammar.',
    remedy:
      'Correct the field that the message names; it is a defect of the transport or its caller.',
  },
  ERR_PT_SOCKS_ARGUMENTS: {
    side: 'remote',
    retry: 'never',
    summary: 'Per-connection arguments are malformed, or too long for SOCKS.',
    remedy: 'Copy the bridge line again, whole; its arguments may take 510 bytes in all.',
  },
  ERR_PT_SERVER_OPTIONS: {
    side: 'local',
    retry: 'never',
    summary: 'Server transport options are malformed.',
    remedy:
      'Write transport:key=value, joined by semicolons, with : ; and \\ escaped by a backslash.',
  },
  ERR_PT_SMETHOD_ARGS: {
    side: 'local',
    retry: 'never',
    summary: 'The client arguments that a server publishes are malformed.',
    remedy: 'Use printable ASCII without spaces, at least one pair, and no empty key.',
  },
  ERR_PT_BRIDGE_LINE: {
    side: 'local',
    retry: 'never',
    summary: 'A bridge line is malformed.',
    remedy: 'Write [transport] ip:port [fingerprint] [key=value …], copied whole from the bridge.',
  },

  // src/socks
  ERR_SOCKS_VERSION: {
    side: 'remote',
    retry: 'never',
    summary: 'A client of the SOCKS port speaks neither SOCKS5 nor SOCKS4.',
    remedy: 'Point the application’s SOCKS setting, and nothing else, at this port.',
  },
  ERR_SOCKS_HTTP: {
    side: 'remote',
    retry: 'never',
    summary: 'A client of the SOCKS port speaks HTTP.',
    remedy: 'Enter the address as a SOCKS5 proxy in the application, not as an HTTP proxy.',
  },
  ERR_SOCKS_METHOD_UNSUPPORTED: {
    side: 'remote',
    retry: 'never',
    summary: 'A SOCKS5 client offers neither username/password nor no authentication.',
    remedy: 'Turn GSSAPI off in the application’s SOCKS settings.',
  },
  ERR_SOCKS_MALFORMED: {
    side: 'remote',
    retry: 'never',
    summary: 'A SOCKS client broke the protocol.',
    remedy: 'Check which program connects to the SOCKS port; nothing to do at this end.',
  },
  ERR_SOCKS_COMMAND_UNSUPPORTED: {
    side: 'remote',
    retry: 'never',
    summary: 'A SOCKS command other than CONNECT was asked for.',
    remedy: 'Use the application in TCP client mode: BIND and UDP cannot pass a transport.',
    socksReply: 0x07,
  },
  ERR_SOCKS_ADDRESS_UNSUPPORTED: {
    side: 'remote',
    retry: 'never',
    summary: 'An address type was asked for that the SOCKS server does not know.',
    remedy: 'Use an IPv4 address, an IPv6 address or a host name.',
    socksReply: 0x08,
  },
  ERR_SOCKS_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'A SOCKS client left before it was served.',
    remedy: 'Nothing to do at this end; an application that gives up early may need more patience.',
  },
  ERR_SOCKS_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'A SOCKS client did not finish its request in time.',
    remedy: 'Check which program connects to the SOCKS port; nothing to do at this end.',
  },
  ERR_TUNNEL_UNENCODABLE: {
    side: 'local',
    retry: 'never',
    summary: 'The proxy protocol cannot carry this target or these credentials.',
    remedy: 'Use a SOCKS5 proxy, which carries IPv6, host names and passwords.',
    socksReply: 0x08,
  },
  ERR_TUNNEL_AUTH_REJECTED: {
    side: 'remote',
    retry: 'never',
    summary: 'The proxy on the way refused the credentials, or does not take any.',
    remedy: 'Check the user name and password in the proxy’s URI, or the transport’s arguments.',
    socksReply: 0x02,
  },
  ERR_TUNNEL_MALFORMED: {
    side: 'remote',
    retry: 'never',
    summary: 'The proxy on the way broke its protocol.',
    remedy: 'Check that the proxy’s type and port are right.',
  },
  ERR_TUNNEL_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The proxy on the way closed the connection before it answered.',
    remedy: 'Check that the proxy’s type and port are right, and read its log.',
  },
  ERR_TUNNEL_FAILED: {
    side: 'remote',
    retry: 'later',
    summary: 'The proxy or the program on the way could not connect and gave no precise reason.',
    remedy:
      'Read its log. A transport’s program says the same when an argument of the bridge line is wrong, and when nobody answers there.',
  },

  // src/extor
  ERR_EXTOR_COOKIE: {
    side: 'local',
    retry: 'never',
    summary: 'The Extended ORPort cookie file cannot be read or does not have its format.',
    remedy:
      'Check that the parent runs and that TOR_PT_AUTH_COOKIE_FILE is readable for this user.',
  },
  ERR_EXTOR_AUTH: {
    side: 'remote',
    retry: 'later',
    summary: 'The other end of the Extended ORPort did not prove that it knows the cookie.',
    remedy: 'Check that TOR_PT_AUTH_COOKIE_FILE belongs to the parent that listens there.',
  },
  ERR_EXTOR_DENIED: {
    side: 'remote',
    retry: 'never',
    summary: 'The parent refused a client’s connection over the Extended ORPort.',
    remedy: 'Nothing to do at this end: the parent’s log says why.',
  },
  ERR_EXTOR_MALFORMED: {
    side: 'remote',
    retry: 'never',
    summary: 'The other end broke the Extended ORPort protocol.',
    remedy: 'Check that the port is an Extended ORPort.',
  },
  ERR_EXTOR_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The other end closed the Extended ORPort connection before the exchange was over.',
    remedy: 'Read the log of the other end.',
  },
  ERR_EXTOR_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The other end of the Extended ORPort did not finish the exchange in time.',
    remedy:
      'Check that the parent is not stopped or overloaded, and that the port is its ExtORPort.',
  },

  // src/net
  ERR_HTTP_PROXY_REFUSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The HTTP proxy answered CONNECT with a status that is not success.',
    remedy: 'Read the status in the message and the proxy’s log.',
  },
  ERR_DIAL_REFUSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The target refused the TCP connection.',
    remedy: 'Check the address and port, and that something listens there.',
    socksReply: 0x05,
  },
  ERR_DIAL_HOST_UNREACHABLE: {
    side: 'remote',
    retry: 'later',
    summary: 'No route leads to the target host.',
    remedy: 'Check the address and this machine’s routes.',
    socksReply: 0x04,
  },
  ERR_DIAL_NETWORK_UNREACHABLE: {
    side: 'local',
    retry: 'later',
    summary: 'The target’s network cannot be reached from here.',
    remedy: 'Check this machine’s connection (an IPv6 target needs IPv6 here).',
    socksReply: 0x03,
  },
  ERR_DIAL_NAME_NOT_FOUND: {
    side: 'remote',
    retry: 'later',
    summary: 'The host name does not resolve.',
    remedy: 'Check the spelling and the resolver, or give an IP address.',
    socksReply: 0x04,
  },
  ERR_DIAL_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The TCP connection was not established in time.',
    remedy: 'The target or the path drops packets; try again or try another bridge.',
    socksReply: 0x06,
  },
  ERR_DIAL_NOT_ALLOWED: {
    side: 'local',
    retry: 'never',
    summary: 'The operating system or a rule forbids this connection.',
    remedy: 'Check firewall rules and the outbound bind address.',
    socksReply: 0x02,
  },
  ERR_DIAL_BIND_FAILED: {
    side: 'local',
    retry: 'never',
    summary:
      'The outbound address to bind to is not one of this machine’s, or is of the other family.',
    remedy: 'Set TOR_PT_OUTBOUND_BIND_ADDRESS_V4/V6 to an address that this machine has.',
    socksReply: 0x02,
  },
  ERR_DIAL_NO_LOCAL_PORT: {
    side: 'local',
    retry: 'later',
    summary: 'This machine has no local port or address left from which to reach the target.',
    remedy:
      'Many connections to one target use the ports up: let some end, or widen net.ipv4.ip_local_port_range; an IPv6 target needs an IPv6 address here.',
  },
  ERR_DIAL_FAILED: {
    side: 'remote',
    retry: 'later',
    summary: 'The connection failed for another reason; the cause carries it.',
    remedy: 'Read the cause.',
    socksReply: 0x01,
  },
  ERR_TUNNEL_UNREACHABLE: {
    side: 'remote',
    retry: 'later',
    summary: 'The proxy that connections go through cannot be reached.',
    remedy: 'Check that the upstream proxy runs at the address given; nothing is sent without it.',
  },
  ERR_TUNNEL_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The proxy that connections go through took too long to answer.',
    remedy: 'Check that the proxy’s type is right, and its own way out.',
    socksReply: 0x06,
  },
  ERR_LISTEN_IN_USE: {
    side: 'local',
    retry: 'later',
    summary: 'Another program listens on that address and port.',
    remedy: 'Stop the other program or choose another port.',
  },
  ERR_LISTEN_FAILED: {
    side: 'local',
    retry: 'never',
    summary: 'The address cannot be listened on.',
    remedy: 'Use an address of this machine; a port below 1024 needs the right to bind it.',
  },
  ERR_TLS_UNTRUSTED: {
    side: 'remote',
    retry: 'later',
    summary: 'The certificate of the other end is not signed by anyone whom this machine trusts.',
    remedy:
      'Someone may be in between: try from another network. A bridge with a certificate of its own says so by `cert=` in its line; roots of your own go into the file that SSL_CERT_FILE names.',
    socksReply: 0x02,
  },
  ERR_TLS_EXPIRED: {
    side: 'remote',
    retry: 'later',
    summary: 'The certificate of the other end has expired, or is not valid yet.',
    remedy:
      'Check the clock of this machine; if it is right, only the bridge’s operator can renew the certificate: try another bridge.',
    socksReply: 0x02,
  },
  ERR_TLS_NAME: {
    side: 'remote',
    retry: 'never',
    summary: 'The certificate of the other end is for another name.',
    remedy:
      'Copy the bridge line again, whole: `servername`, `sni-imitation` and `cert-domain` decide what the certificate must be for.',
    socksReply: 0x02,
  },
  ERR_TLS_PIN: {
    side: 'remote',
    retry: 'never',
    summary:
      'The certificates of the other end are not those that `cert` in the bridge line stands for.',
    remedy: 'Someone may be in between, or the bridge has a new certificate: get its line anew.',
    socksReply: 0x02,
  },
  ERR_TLS_FAILED: {
    side: 'remote',
    retry: 'later',
    summary: 'The TLS handshake failed, or the other end speaks something else.',
    remedy:
      'Check that the port in the bridge line is that of a web server with TLS; the path may be censored: try another bridge.',
    socksReply: 0x05,
  },
  ERR_TLS_CERTIFICATE: {
    side: 'local',
    retry: 'never',
    summary: 'The certificate or the key of this server cannot be read or used.',
    remedy:
      'Give PEM files that this user may read: `tls-cert` with the chain, the own certificate first, and `tls-key` with its key.',
  },

  ERR_SOCKET_PATH: {
    side: 'local',
    retry: 'never',
    summary: 'The path of a Unix socket is longer than the system allows.',
    remedy: 'Choose a shorter path, such as one in /run or in /tmp.',
  },

  // src/state
  ERR_DIRECTORY_IN_USE: {
    side: 'local',
    retry: 'later',
    summary: 'Another process keeps its state in that directory.',
    remedy: 'Stop that process, or give this one a directory of its own.',
  },
  ERR_DIRECTORY_UNUSABLE: {
    side: 'local',
    retry: 'later',
    summary: 'The system does not let us use a directory, or a file in it.',
    remedy:
      'Make room on its disk, let this user write there, or choose another directory; no file in it is damaged.',
  },

  // src/transports
  ERR_TRANSPORT_UNKNOWN: {
    side: 'local',
    retry: 'never',
    summary: 'No transport of that name is registered.',
    remedy: 'Run `postern --help` for the transports that this build knows.',
  },
  ERR_TRANSPORT_DUPLICATE: {
    side: 'local',
    retry: 'never',
    summary: 'A transport of that name is registered already.',
    remedy: 'Give each transport a name of its own.',
  },
  ERR_TRANSPORT_ARGUMENT: {
    side: 'local',
    retry: 'never',
    summary: 'An argument of a bridge line is missing, malformed or unknown.',
    remedy: 'Copy the bridge line again, whole: what the message names stands in it.',
  },
  ERR_TRANSPORT_OPTION: {
    side: 'local',
    retry: 'never',
    summary:
      'An option of a server transport is malformed, unknown, or does not go with the others.',
    remedy:
      'Correct it where the bridge is set up: `--option`, ServerTransportOptions or TOR_PT_SERVER_TRANSPORT_OPTIONS.',
  },
  ERR_TRANSPORT_STATE: {
    side: 'local',
    retry: 'never',
    summary: 'The transport’s saved state is damaged, and so is its second copy.',
    remedy:
      'Restore the named file from a backup; delete it and its `.previous` copy only to give the bridge a new identity.',
  },
  ERR_HANDSHAKE_REJECTED: {
    side: 'remote',
    retry: 'never',
    summary: 'The peer did not prove that it speaks this transport with these arguments.',
    remedy:
      'Check that the bridge line is the bridge’s current one, and that the clocks of both ends agree to the hour.',
  },
  ERR_HANDSHAKE_REPLAYED: {
    side: 'remote',
    retry: 'never',
    summary: 'A client’s handshake was one that had been seen before.',
    remedy: 'Nothing to do at this end: somebody replays what he has recorded, and learns nothing.',
  },
  ERR_HANDSHAKE_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The transport’s handshake was not finished in time.',
    remedy:
      'Wrong arguments look the same as a dead bridge: check the bridge line, then try another bridge.',
    socksReply: 0x06,
  },
  ERR_HANDSHAKE_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The peer closed the connection during the transport’s handshake.',
    remedy: 'Check the bridge line; if it is right, the path may be censored: try another bridge.',
    socksReply: 0x05,
  },
  ERR_UPGRADE_REFUSED: {
    side: 'remote',
    retry: 'later',
    summary:
      'The web server of a webtunnel bridge answered, and did not let the bridge have the connection.',
    remedy:
      'Read the status in the message; if the bridge line is its current one, only the bridge’s operator can mend it: try another bridge.',
    socksReply: 0x05,
  },
  ERR_FRAME_MALFORMED: {
    side: 'remote',
    retry: 'later',
    summary: 'A frame of an established connection failed its authentication or its length check.',
    remedy: 'The connection was altered on its way; connect again.',
  },
  ERR_STREAM_TRUNCATED: {
    side: 'remote',
    retry: 'later',
    summary: 'The connection ended in the middle of a frame, or without a proper end.',
    remedy: 'The connection was cut on its way; connect again.',
  },

  // src/mux
  ERR_MUX_PROTOCOL: {
    side: 'remote',
    retry: 'later',
    summary: 'The far end of a link broke the rules of the multiplexer (yamux).',
    remedy:
      'What listens there speaks something else, or is broken or hostile: check address and port, and that both ends run the same version of Postern.',
  },
  ERR_MUX_OLD_PEER: {
    side: 'remote',
    retry: 'never',
    summary: 'A link begins as those of an older Postern do.',
    remedy:
      'Update the other end: links of version 0.1 and of this version do not understand each other.',
  },

  // src/parent
  ERR_PARENT_SPAWN: {
    side: 'local',
    retry: 'never',
    summary: 'The PT program cannot be started.',
    remedy:
      'Check the path of the program, that it is executable, and that it is made for this machine.',
  },
  ERR_PARENT_VERSION: {
    side: 'remote',
    retry: 'never',
    summary: 'The PT program speaks no version of the specification that was offered.',
    remedy: 'Update the PT program, or Postern.',
  },
  ERR_PARENT_CONFIGURATION: {
    side: 'remote',
    retry: 'never',
    summary: 'The PT program does not accept its configuration (ENV-ERROR).',
    remedy: 'The message is the program’s own: correct what it names.',
  },
  ERR_PARENT_UPSTREAM_PROXY: {
    side: 'remote',
    retry: 'never',
    summary: 'The PT program does not use the upstream proxy that it was given.',
    remedy:
      'Use another type of upstream proxy or another PT program; without it the traffic would leave directly.',
  },
  ERR_PARENT_PROTOCOL: {
    side: 'remote',
    retry: 'never',
    summary: 'The PT program broke the protocol on its stdout.',
    remedy: 'Update the PT program, or report the line to its authors.',
  },
  ERR_PARENT_START_ENDED: {
    side: 'remote',
    retry: 'later',
    summary: 'The PT program ended before it had started all transports.',
    remedy: 'Read its last stderr lines, which the error carries.',
  },
  ERR_PARENT_START_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The PT program did not report its transports in time.',
    remedy:
      'Read its last stderr lines, which the error carries; allow it more time if it is only slow.',
  },
  ERR_PARENT_TRANSPORT: {
    side: 'remote',
    retry: 'never',
    summary: 'The PT program did not start the transport that is needed.',
    remedy: 'Use a PT program that has this transport, or read the message, which is its own.',
  },
  ERR_PARENT_CRASHED: {
    side: 'remote',
    retry: 'later',
    summary: 'The PT program ended although nobody had asked it to.',
    remedy: 'Read its last stderr lines, which the error carries.',
  },
  ERR_PARENT_CLOSED: {
    side: 'local',
    retry: 'never',
    summary: 'The supervision of a PT program was closed while somebody waited for the program.',
    remedy: 'Nothing to do; start a new one to go on.',
  },

  // src/config
  ERR_CONFIG_SYNTAX: {
    side: 'local',
    retry: 'never',
    summary: 'A configuration line does not have the form of a torrc line.',
    remedy:
      'Write an option and its value on a line of their own; `postern explain` lists the options.',
  },
  ERR_CONFIG_KEY: {
    side: 'local',
    retry: 'never',
    summary: 'A configuration option of that name does not exist.',
    remedy:
      'Run `postern explain`: it lists the options; with `Engine tor` all of Tor’s are there as well.',
  },
  ERR_CONFIG_VALUE: {
    side: 'local',
    retry: 'never',
    summary: 'An option’s value is malformed, out of range or not possible here.',
    remedy: 'Correct what the message names; `postern explain OPTION` tells what an option takes.',
  },
  ERR_CONFIG_FILE: {
    side: 'local',
    retry: 'later',
    summary: 'The torrc cannot be read, or cannot be saved.',
    remedy:
      'Check the path, its permissions and the free space; what a save replaces is kept beside it as `.previous`.',
  },
  ERR_CONFIG_INCLUDE: {
    side: 'local',
    retry: 'never',
    summary: 'A torrc that takes lines from other files by %include is not saved, as with Tor.',
    remedy: 'Write the change into the file that it belongs to, and reload.',
  },

  // src/control
  ERR_CONTROL_TOO_LONG: {
    side: 'local',
    retry: 'never',
    summary: 'A control message would be longer than its length field can say.',
    remedy: 'Ask for fewer keys, or set fewer options, in one request.',
  },
  ERR_CONTROL_UNENCODABLE: {
    side: 'local',
    retry: 'never',
    summary: 'A control request cannot be written in the form of its message.',
    remedy: 'Correct the key, value or address that the message names.',
  },
  ERR_CONTROL_PROTOCOL: {
    side: 'remote',
    retry: 'never',
    summary: 'The other end broke the control protocol.',
    remedy: 'Check that the address is the ControlPort of a server that speaks this protocol.',
  },
  ERR_CONTROL_V0_UNSUPPORTED: {
    side: 'remote',
    retry: 'never',
    summary: 'The server is a Tor that no longer speaks the original, binary control protocol.',
    remedy:
      'Put a daemon in front of that Tor, and control it: a torrc with `Engine tor` and TorControlPort, for `postern run`.',
  },
  ERR_CONTROL_REFUSED: {
    side: 'remote',
    retry: 'never',
    summary: 'The server answered a control request with an error.',
    remedy: 'Do what the server’s text says; its log may say more.',
  },
  ERR_CONTROL_UNREACHABLE: {
    side: 'remote',
    retry: 'later',
    summary: 'Nobody answers on the control port.',
    remedy:
      'Start the daemon, or say where its control port is: `--control ADDRESS`, or `-f TORRC` with its torrc; a ControlPort line opens it.',
  },
  ERR_CONTROL_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The control connection ended before a request was answered.',
    remedy: 'Check that the server runs, and read its log; then connect again.',
  },
  ERR_CONTROL_COOKIE: {
    side: 'local',
    retry: 'never',
    summary: 'A control cookie file cannot be written, read or trusted.',
    remedy:
      'Point to the control_auth_cookie of a running server: 32 bytes, yours, closed to others.',
  },
  ERR_CONTROL_UNPROTECTED: {
    side: 'local',
    retry: 'never',
    summary: 'A control port would be open to other machines without authentication.',
    remedy: 'Listen on 127.0.0.1, or set CookieAuthentication or HashedControlPassword.',
  },
  ERR_UNIX_SOCKET: {
    side: 'local',
    retry: 'never',
    summary: 'The directory of a Unix-domain socket is missing, or open to other users.',
    remedy:
      'Make a directory of its own for the socket, with `mkdir -m 700`; who else may come is said by GroupWritable, WorldWritable or RelaxDirModeCheck behind its path.',
  },
  ERR_ADDRESS_MAP: {
    side: 'remote',
    retry: 'never',
    summary: 'An address cannot be mapped as asked.',
    remedy:
      'Map to a real address; remove mappings that are not needed when the range or the table is full.',
  },

  // src/engine
  ERR_DATA_DIRECTORY: {
    side: 'local',
    retry: 'never',
    summary: 'The directory for identities and cookies is not known, or cannot be made.',
    remedy: 'Set DataDirectory to an absolute path that this user may write to.',
  },
  ERR_DAEMON_ENDING: {
    side: 'local',
    retry: 'never',
    summary: 'The daemon was asked to end, and its configuration does not change any more.',
    remedy: 'Start it again, and ask then.',
  },
  ERR_LOG_FILE: {
    side: 'local',
    retry: 'never',
    summary: 'A log file cannot be opened.',
    remedy: 'Correct the path in the Log line, or the permissions of its directory.',
  },
  ERR_NO_BRIDGE: {
    side: 'local',
    retry: 'never',
    summary: 'A stream has nowhere to go: no bridge is configured, or bridges are switched off.',
    remedy: 'Set UseBridges 1 and at least one Bridge line.',
    socksReply: 0x02,
  },
  ERR_PORT_TRAFFIC: {
    side: 'local',
    retry: 'never',
    summary: 'The flags of the port that an application came to do not let its target through.',
    remedy:
      'Let the application use another SocksPort, or take NoIPv4Traffic, NoIPv6Traffic, NoDNSRequest, NoOnionTraffic or OnionTrafficOnly from this one.',
    socksReply: 0x02,
  },
  ERR_LINK_FAILED: {
    side: 'remote',
    retry: 'later',
    summary: 'A link to a bridge could not be made, or broke.',
    remedy: 'Read the cause; check the Bridge line, or add another bridge.',
  },
  ERR_LINK_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'A bridge did not answer in time.',
    remedy:
      'Wrong arguments look the same as a dead bridge: check the Bridge line, or use another.',
  },
  ERR_STREAM_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'The bridge did not say in time whether it reached the target.',
    remedy: 'Try again later; the target or the way to it drops packets.',
    socksReply: 0x06,
  },
  ERR_EXIT_POLICY: {
    side: 'remote',
    retry: 'never',
    summary: 'The exit policy of the bridge refuses the target.',
    remedy:
      'On the bridge, ExitPolicy and ExitPolicyRejectPrivate say where streams may go; private addresses are refused by default.',
    socksReply: 0x02,
  },

  ERR_TOR_PROGRAM: {
    side: 'local',
    retry: 'never',
    summary: 'There is no Tor to start, or it cannot be started.',
    remedy: 'Install it (Debian: `apt-get install tor`), or set TorBinary to its path.',
  },
  ERR_TOR_ENDED: {
    side: 'remote',
    retry: 'later',
    summary: 'Tor ended, while it was starting or later.',
    remedy: 'Read what Tor said last; it is started again by itself, unless it never came up.',
  },
  ERR_TOR_START_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'Tor did not open its control socket in time.',
    remedy: 'Read the log; `Log info stdout` says more. The machine may be overloaded.',
  },
  ERR_TOR_UNAVAILABLE: {
    side: 'remote',
    retry: 'later',
    summary: 'The Tor behind the control port does not run at this moment.',
    remedy: 'Ask again in a moment: it is being started, or connected to, again.',
  },

  // src/tor-control
  ERR_TOR_CONTROL_COMMAND: {
    side: 'local',
    retry: 'never',
    summary: 'A command for Tor’s control port cannot be written as one command.',
    remedy: 'Correct the argument that the message names; line ends belong into `data` only.',
  },
  ERR_TOR_CONTROL_BUSY: {
    side: 'local',
    retry: 'later',
    summary: 'Too many commands wait for Tor’s replies.',
    remedy: 'Wait for replies before asking more.',
  },
  ERR_TOR_CONTROL_REFUSED: {
    side: 'remote',
    retry: 'never',
    summary: 'Tor answered a command with an error.',
    remedy: 'Do what Tor’s text says; its log may say more.',
  },
  ERR_TOR_CONTROL_AUTHENTICATION: {
    side: 'local',
    retry: 'never',
    summary: 'Tor’s control port accepts none of the credentials that we have.',
    remedy:
      'Give the password (in a torrc: TorControlPasswordFile), or the path of a cookie file that you may read and that is this Tor’s.',
  },
  ERR_TOR_CONTROL_FALSE_SERVER: {
    side: 'remote',
    retry: 'never',
    summary: 'What answers on the control port does not know the cookie: it is another Tor.',
    remedy: 'Check the address, and that the cookie file is the one of the Tor that runs there.',
  },
  ERR_TOR_CONTROL_PROTOCOL: {
    side: 'remote',
    retry: 'never',
    summary: 'The other end broke Tor’s control protocol.',
    remedy: 'Check that the address is the ControlPort or ControlSocket of a Tor.',
  },
  ERR_TOR_CONTROL_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary: 'The connection to Tor’s control port ended before a command was answered.',
    remedy: 'Check that Tor runs, and read its log; then connect again.',
  },
  ERR_TOR_CONTROL_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'Tor’s control port did not answer in time.',
    remedy: 'Check that the address is a Tor’s, and that this Tor is not stopped or overloaded.',
  },
  ERR_TOR_CONTROL_UNAVAILABLE: {
    side: 'local',
    retry: 'later',
    summary: 'There is no connection to Tor’s control port at the moment.',
    remedy: 'Wait for the next `connected`; what was asked has not been sent.',
  },

  // src/check
  ERR_CHECK_CLOCK: {
    side: 'remote',
    retry: 'later',
    summary: 'The server that was asked for the time did not say it.',
    remedy: 'Name the address of a web server behind --clock-from, like https://www.debian.org/.',
  },
  ERR_TOR_LINK_PROTOCOL: {
    side: 'remote',
    retry: 'never',
    summary: 'What is behind a bridge does not speak Tor’s link protocol.',
    remedy:
      'Leave --tor out for a bridge in front of another service; else tell the bridge’s operator.',
  },
  ERR_TOR_LINK_CLOSED: {
    side: 'remote',
    retry: 'later',
    summary:
      'What is behind a bridge closed the connection before the handshake of Tor’s link was done.',
    remedy: 'Tell the bridge’s operator: its Tor does not run, or its ORPort is another one.',
  },
  ERR_TOR_LINK_TIMED_OUT: {
    side: 'remote',
    retry: 'later',
    summary: 'What is behind a bridge did not finish the handshake of Tor’s link in time.',
    remedy: 'Try again, and allow more time with --timeout; the path may be cut after some bytes.',
  },
  ERR_TOR_IDENTITY: {
    side: 'remote',
    retry: 'never',
    summary: 'The Tor behind a bridge does not prove that it is the one of the bridge line.',
    remedy: 'Get the bridge line again from whoever runs the bridge; do not use this one.',
  },
} as const;

/** The closed union of error codes. */
export type ErrorCode = keyof typeof table;

/** The table of codes, for docs/ERRORS.md and for tests. */
export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = table;

/** An error that Postern throws on purpose. */
export class PosternError extends Error {
  override readonly name: string = 'PosternError';
  readonly code: ErrorCode;
  /** What the reader does about it; of its own, so that Node shows it where nobody caught the error. */
  readonly remedy: string;

  /**
   * @param code a row of the table
   * @param message what happened, without secrets and full addresses; the remedy is in the table
   */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.remedy = errorTable[code].remedy;
  }

  /** Whose fault it is. */
  get side(): 'local' | 'remote' {
    return errorTable[this.code].side;
  }

  /** Whether the same call may succeed later without any change. */
  get retry(): 'never' | 'later' {
    return errorTable[this.code].retry;
  }

  /** The SOCKS5 reply code that a SOCKS client is told (RFC 1928, section 6). */
  get socksReply(): number {
    return errorTable[this.code].socksReply ?? 0x01;
  }
}

/** A state that this program's own logic rules out. Seeing one is a defect of Postern: report it. */
export class PosternBug extends Error {
  override readonly name: string = 'PosternBug';
}

/** What went wrong and what to do about it, for a log: never an address, never a secret. */
export function describeError(error: unknown): string {
  if (error instanceof PosternError) {
    const cause = error.cause instanceof PosternError ? `: ${error.cause.message}` : '';
    return `${error.message}${cause} (${error.code}). ${error.remedy}`;
  }
  // Not thrown on purpose: mending it takes the stack.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `defect, please report it: ${text}`;
}
