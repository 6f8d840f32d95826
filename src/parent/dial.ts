import { PosternError } from '../errors.ts';
import type { Dialer } from '../net/dialer.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import { runExchange } from '../net/exchange.ts';
import { SILENT_PROGRAM, watchSilence } from '../net/silence.ts';
import type { KeyValues } from '../pt/key-value.ts';
import type { CmethodMessage } from '../pt/messages.ts';
import { encodeSocksArguments, splitForUserPass } from '../pt/socks-arguments.ts';
import { createSocksClient, type SocksClientOptions } from '../socks/client.ts';

/** Who hears of the program's connections. */
export interface PtDialerOptions {
  /** Hears what it can mean that neither the program nor the bridge says anything. */
  readonly onSilence?: (text: string) => void;
}

/**
 * A dialer through a transport that a client PT program has announced: by the protocol and to the
 * address of its CMETHOD line, with the arguments in the fields of SOCKS authentication (PT 3.5).
 *
 * @throws PosternError `ERR_PT_SOCKS_ARGUMENTS` for arguments that cannot be passed, before anything is
 *   sent
 * @throws (from the dialer) PosternError `ERR_TUNNEL_*`, or what the program says about the target
 */
export function createPtDialer(
  method: CmethodMessage,
  args: KeyValues,
  { onSilence = () => {} }: PtDialerOptions = {},
): Dialer {
  const identification = identify(method.protocol, encodeSocksArguments(args));
  const dial = createDirectDialer();
  return async (target, options = {}) => {
    // Refuses what the version of SOCKS cannot say, before there is a connection.
    const exchange = createSocksClient({ ...identification, target });
    const stream = await dial(method.endpoint, options).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw new PosternError(
        'ERR_TUNNEL_UNREACHABLE',
        'the PT program’s SOCKS port cannot be reached',
        {
          cause: error,
        },
      );
    });
    await watchSilence(runExchange(stream, exchange, options), onSilence, SILENT_PROGRAM).catch(
      (error: unknown) => {
        const isVague = error instanceof PosternError && error.code === 'ERR_TUNNEL_FAILED';
        // To whoever dials it is a bridge that failed, and no proxy of theirs.
        throw isVague ? new PosternError(error.code, NO_BRIDGE, { cause: error }) : error;
      },
    );
    return stream;
  };
}

const NO_BRIDGE = 'the transport’s program did not get through to the bridge';

type Identification =
  | Omit<Extract<SocksClientOptions, { version: 'socks5' }>, 'target'>
  | { readonly version: 'socks4'; readonly userId: Uint8Array };

function identify(protocol: CmethodMessage['protocol'], encoded: Uint8Array): Identification {
  if (protocol === 'socks4') return { version: 'socks4', userId: encoded };
  return encoded.length === 0
    ? { version: 'socks5' }
    : { version: 'socks5', credentials: splitForUserPass(encoded) };
}
