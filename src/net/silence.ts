import { limits } from '../limits.ts';

/** What it can mean that a bridge accepts a connection and says nothing: all of these look the same from here. */
const SILENCE: string = `the bridge's TCP port answers, and the bridge itself has been silent for ${limits.handshakeSilenceMs / 1000} seconds: ${causes()}`;

/** The same of a program that makes the connection: whether there is one yet, it does not tell. */
export const SILENT_PROGRAM: string = `the transport's program took the connection, and neither it nor the bridge has said anything for ${limits.handshakeSilenceMs / 1000} seconds: nothing may answer at the bridge's address, ${causes()}`;

/** The same for a web server, which normally answers everybody. */
export const SILENT_WEB_SERVER: string = `the web server of the bridge takes the connection, and has been silent for ${limits.handshakeSilenceMs / 1000} seconds: it or the bridge behind it may be overloaded or hang, another service may listen on that port, or the path may be censored`;

function causes(): string {
  return 'a cert or password of its line may be wrong or old, another transport may listen on that port, the path may be censored, or a clock is wrong: compare `date -u` here and there, they may differ by an hour at most';
}

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
