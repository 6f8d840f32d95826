/** `--plugin`: transports out of other people's modules. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PosternError } from '../errors.ts';
import type { Transport } from '../transports/contract.ts';
import { UsageError } from './report-error.ts';

/**
 * Loads every transport that a module exports.
 *
 * @param specifier a path (`./rot-by-n.mjs`, from the working directory), or the name of a package that
 *   is installed where this one is
 * @throws UsageError when the module cannot be loaded, or exports no transport
 */
export async function loadPlugin(specifier: string): Promise<readonly Transport[]> {
  const isPath = /^\.{0,2}[/\\]|^[a-zA-Z]:[/\\]/.test(specifier);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(
      isPath ? pathToFileURL(resolve(specifier)).href : specifier
    )) as typeof module;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--plugin ${specifier}: the module cannot be loaded: ${reason}`);
  }
  const transports = new Set(Object.values(module).filter(isTransport));
  if (transports.size > 0) return [...transports].map(adopt);
  throw new UsageError(
    `--plugin ${specifier}: the module exports no transport, which is an object with name, summary, ` +
      'client and server (docs/write-a-transport.md)',
  );
}

function isTransport(value: unknown): value is Transport {
  if (typeof value !== 'object' || value === null) return false;
  const { name, summary, client, server } = value as Readonly<Record<string, unknown>>;
  return (
    typeof name === 'string' &&
    typeof summary === 'string' &&
    typeof client === 'function' &&
    typeof server === 'function'
  );
}

/**
 * A plugin may use another copy of Postern, or none, and so another `PosternError`: what it throws for its
 * arguments is taken for the error that the contract asks for.
 */
function adopt(transport: Transport): Transport {
  const { name, summary, warning } = transport;
  return {
    name,
    summary,
    ...(warning !== undefined && { warning }),
    client(args, environment) {
      try {
        return transport.client(args, environment);
      } catch (error) {
        throw asPosternError(error);
      }
    },
    async server(options, environment) {
      try {
        return await transport.server(options, environment);
      } catch (error) {
        throw asPosternError(error);
      }
    },
  };
}

function asPosternError(error: unknown): PosternError {
  if (error instanceof PosternError) return error;
  const { code, message = String(error) } = error as { code?: unknown; message?: string };
  const known = code === 'ERR_TRANSPORT_STATE' ? code : 'ERR_TRANSPORT_ARGUMENT';
  return new PosternError(known, message, { cause: error });
}
