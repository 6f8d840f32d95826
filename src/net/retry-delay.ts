import { randomInteger, type Rng } from '../crypto/rng.ts';

/**
 * How long to wait after so many failures in a row: doubles with each, up to `maxMs`. A random part,
 * up to half, keeps many programs from trying at the same moment.
 *
 * @param failures from 1
 */
export function retryDelayMs(failures: number, firstMs: number, maxMs: number, rng: Rng): number {
  const ceiling = Math.min(firstMs * 2 ** (failures - 1), maxMs);
  return randomInteger(rng, Math.ceil(ceiling / 2), ceiling);
}
