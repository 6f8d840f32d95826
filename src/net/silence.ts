import { limits } from '../limits.ts';

/** What a bridge that takes a connection and then says nothing can mean: all of these look the same from here. */
const SILENCE: string = `the bridge's TCP port answers, and the bridge itself has been silent for ${limits.handshakeSilenceMs / 1000} seconds: a cert or password of its line may be wrong or old, another transport may listen on that port, the path may be censored, or a clock is wrong: compare \`date -u\` here and there, they may differ by an hour at most`;

/** The same of a web server, which answers whoever comes. */
export const SILENT_WEB_SERVER: string = `the web server of the bridge takes the connection, and has been silent for ${limits.handshakeSilenceMs / 1000} seconds: it or the bridge behind it may be overloaded or hang, another service may listen on that port, or the path may be censored`;

/**
 * Tells of a handshake that takes long on a connection that stands. Nothing is sent because of it.
 *
 * @returns what the handshake comes to
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
