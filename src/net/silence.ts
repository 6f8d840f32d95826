import { limits } from '../limits.ts';

/** What it can mean that a bridge accepts a connection and says nothing: all of these look the same from here. */
const SILENCE: string = `the bridge's TCP port answers, and the bridge itself has been silent for ${limits.handshakeSilenceMs / 1000} seconds: a cert or password of its line may be wrong or old, another transport may listen on that port, the path may be censored, or a clock is wrong: compare \`date -u\` here and there, they may differ by an hour at most`;

/** The same for a web server, which normally answers everybody. */
export const SILENT_WEB_SERVER: string = `the web server of the bridge takes the connection, and has been silent for ${limits.handshakeSilenceMs / 1000} seconds: it or the bridge behind it may be overloaded or hang, another service may listen on that port, or the path may be censored`;

/**
 * Reports a handshake that takes long on an open connection. Nothing is sent because of it.
 *
 * @returns the result of the handshake
 */
export async function watchSilence<T>(
  handshake: Promise<T>,
  onSilence: (text: string) => void,
  silence: string = SILENCE,
): Promise<T> {
  const timer = setTimeout(() => onSilence(silence), limits.handshakeSilenceMs);
  timer.unref();
  try {
    return await handshake;
  } finally {
    clearTimeout(timer);
  }
}
