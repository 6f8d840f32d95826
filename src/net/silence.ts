import { limits } from '../limits.ts';

/** What a bridge that takes a connection and then says nothing can mean: all of these look the same from here. */
const SILENCE: string = `the bridge's TCP port answers, and the bridge itself has been silent for ${limits.handshakeSilenceMs / 1000} seconds: a cert or password of its line may be wrong or old, another transport may listen on that port, the path may be censored, or a clock is wrong: compare \`date -u\` here and there, they may differ by an hour at most`;

/**
 * Tells of a handshake that takes long on a connection that stands. Nothing is sent because of it.
 *
 * @returns what the handshake comes to
 */
export async function watchSilence<T>(
  handshake: Promise<T>,
  onSilence: (text: string) => void,
): Promise<T> {
  const timer = setTimeout(() => onSilence(SILENCE), limits.handshakeSilenceMs);
  timer.unref();
  try {
    return await handshake;
  } finally {
    clearTimeout(timer);
  }
}
