/** A ScrambleSuit connection after its handshake. */
import { FramedPhase, type FramedPhaseSetup, type Opener } from '../framed-phase.ts';
import type { Shaper } from '../shaper.ts';
import { IatMode } from './arguments.ts';
import { FrameFlags, MAX_FRAME_BYTES, sealedLength, type FrameSealer } from './frames.ts';
import { burstPaddings } from './shaping.ts';

/** The data phase of either side. */
export function createDataPhase(setup: {
  readonly sealer: FrameSealer;
  readonly opener: Opener;
  readonly shaper: Shaper;
  readonly iatMode: IatMode;
  readonly onOther?: FramedPhaseSetup['onOther'];
}): FramedPhase {
  const { sealer, opener, shaper, iatMode, onOther } = setup;
  return new FramedPhase({
    sealBurst: (payload) => sealBurst(sealer, shaper, FrameFlags.payload, payload, 0),
    opener,
    pacing:
      iatMode === IatMode.none
        ? undefined
        : {
            pauseFirst: true,
            sampleDelayMs: () => shaper.sampleDelayMs(),
            nextWriteBytes: () => MAX_FRAME_BYTES,
          },
    onOther,
  });
}

/** What a server sends as soon as a client has proven itself; owned. */
export function sealWelcome(
  sealer: FrameSealer,
  shaper: Shaper,
  keyTicket: Uint8Array,
  prngSeed: Uint8Array,
): Buffer {
  const ticket = sealer.seal(FrameFlags.newTicket, keyTicket, []);
  const seed = sealBurst(sealer, shaper, FrameFlags.prngSeed, prngSeed, ticket.length);
  return Buffer.concat([ticket, seed]);
}

/** A burst, padded to its sampled length. */
function sealBurst(
  sealer: FrameSealer,
  shaper: Shaper,
  flags: number,
  content: Uint8Array,
  bytesBefore: number,
): Buffer {
  const burstBytes = bytesBefore + sealedLength(content.length);
  return sealer.seal(flags, content, burstPaddings(burstBytes, shaper.sampleLength()));
}
