/**
 * Loaded with `--import` before a program that a test runs as a process of its own: says how much memory it
 * holds whenever its parent asks, and turns limits that a test would wait for too long. The program is
 * otherwise as it is.
 */
import { limits } from '../../src/limits.ts';
import { measureMemory } from './memory.ts';

Object.assign(limits, JSON.parse(process.env['POSTERN_TEST_LIMITS'] ?? '{}'));
process.on('message', () => process.send!(measureMemory()));
// Nobody is left to end it.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel!.unref();
