/** An obfs4 connection after its handshake. */
import type { ByteQueue } from '../../bytes/queue.ts';
import { FramedPhase, type FramedPhaseSetup, type Opener } from '../framed-phase.ts';
import type { Pacing } from '../paced-writer.ts';
import { MAX_FRAME_BYTES, sealedBytes, type FrameSealer } from './frames.ts';
import { burstPadding, IatMode, type Obfs4Shaper } from './shaping.ts';

/** The data phase of either side. */
export function createDataPhase(setup: {
  readonly sealer: FrameSealer;
  readonly opener: Opener;
  readonly shaper: Obfs4Shaper;
  readonly iatMode: IatMode;
  readonly onOther?: FramedPhaseSetup['onOther'];
}): FramedPhase {
  const { sealer, opener, shaper, iatMode, onOther } = setup;
  return new FramedPhase({
    sealBurst(payload) {
      // One padding a burst; paranoid mode pads each write instead.
      const isPadded = iatMode !== IatMode.paranoid;
      const target = isPadded ? shaper.sampleLength() : 0;
      return sealer.sealBurst(
        payload,
        isPadded ? burstPadding(sealedBytes(payload.length), target) : [],
      );
    },
    opener,
    pacing: iatMode === IatMode.none ? undefined : createPacing(sealer, shaper, iatMode),
    onOther,
  });
}

function createPacing(sealer: FrameSealer, shaper: Obfs4Shaper, iatMode: IatMode): Pacing {
  return {
    pauseFirst: false,
    sampleDelayMs: () => shaper.sampleDelayMs(),
    nextWriteBytes: (queue) =>
      iatMode === IatMode.enabled ? MAX_FRAME_BYTES : drawWriteBytes(queue, sealer, shaper),
  };
}

/** A write of paranoid mode: as long as a length that is drawn for it. */
function drawWriteBytes(queue: ByteQueue, sealer: FrameSealer, shaper: Obfs4Shaper): number {
  for (;;) {
    const target = shaper.sampleWriteLength();
    if (queue.length >= target) return target;
    // Too little is left for this length: pad up to it. Where the padding takes two frames it
    // overshoots, and another length is drawn for what is now there.
    queue.push(sealer.sealBurst(NOTHING, burstPadding(queue.length, target)));
    if (queue.length === target) return target;
  }
}

const NOTHING = new Uint8Array(0);
