/** Imported first by the process, for its effect: keeps V8's young generation and Node's buffer pool small. */
import { setFlagsFromString } from 'node:v8';

/*
 * V8's young generation stays at the megabyte that it begins with. Left alone it grows to 32 MB while
 * connections come in, which is more than what a thousand idle ones need, and it never shrinks. No CPU
 * time is lost: what a connection makes either dies at once or stays.
 *
 * It must be a call: `node --max-semi-space-size` would do the same, but a script's first line cannot
 * carry options everywhere.
 */
setFlagsFromString('--semi-space-growth-factor=1');

// The pool from which Node cuts small buffers stays at what it was up to Node 22. A connection keeps a few
// of those, and each keeps all of its pool alive: with the 64 KiB of Node 24, 100 KB a connection.
Buffer.poolSize = 8192;
