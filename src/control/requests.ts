import { PosternError, type ErrorCode } from '../errors.ts';
import { encodeReply } from './encode.ts';
import type { ControlEngine } from './engine.ts';
import { ControlRefusal, ReplyCode } from './messages.ts';
import type { EngineRequest } from './server.ts';

/** The outcome of a request. */
export interface Outcome {
  /** The whole reply, as one array; or that the connection ends without one. */
  readonly reply: Uint8Array | 'ending';
  /** A failure for the log as well: one that is not the fault of the request. */
  readonly failure?: unknown;
}

/** Lets the engine carry a request out, and puts the reply together. Never rejects. */
export async function performRequest(
  engine: ControlEngine,
  request: EngineRequest,
): Promise<Outcome> {
  try {
    return { reply: await replyTo(engine, request) };
  } catch (error) {
    const { code, text } = refusalFor(request, error);
    const reply = encodeReply({ type: 'error', code, text });
    return code === ReplyCode.internal && !isKnown(error) ? { reply, failure: error } : { reply };
  }
}

/** Logged once when it began, not again for each request that meets it. */
function isKnown(error: unknown): boolean {
  return error instanceof PosternError && error.code === 'ERR_TOR_UNAVAILABLE';
}

/** The code and the text of the ERROR for what an engine threw (TC 3.1). */
function refusalFor(
  { type }: EngineRequest,
  error: unknown,
): { readonly code: number; readonly text: string } {
  if (error instanceof ControlRefusal) {
    const known = Object.values<number>(ReplyCode).includes(error.replyCode);
    return { code: known ? error.replyCode : ReplyCode.unspecified, text: error.message };
  }
  if (error instanceof PosternError) {
    const text = `${sentence(error.message)} ${error.remedy}`;
    // A torrc that became wrong before a reload is not this request's syntax or key.
    const asked = type === 'getConf' || type === 'setConf' || error.code === 'ERR_CONTROL_TOO_LONG';
    return { code: (asked ? errorCodes[error.code] : undefined) ?? ReplyCode.internal, text };
  }
  return { code: ReplyCode.internal, text: 'Internal error; the log of the server says more.' };
}

async function replyTo(
  engine: ControlEngine,
  request: EngineRequest,
): Promise<Uint8Array | 'ending'> {
  switch (request.type) {
    case 'getConf':
      return encodeReply({ type: 'confValue', entries: await engine.getConf(request.keys) });
    case 'setConf':
      await engine.setConf(request.lines);
      return DONE;
    case 'saveConf':
      await engine.saveConf();
      return DONE;
    case 'signal':
      return (await engine.signal(request.signal)) === 'ending' ? 'ending' : DONE;
    case 'mapAddress': {
      const { original, replacement } = request.mapping;
      const mapping = await engine.mapAddress(original, replacement);
      return encodeReply({ type: 'addressMapped', mapping });
    }
    case 'getAllMappings': {
      const mappings = await engine.mappings();
      const replies = mappings.map((mapping) => encodeReply({ type: 'addressMapped', mapping }));
      return Buffer.concat([...replies, DONE]);
    }
  }
}

/** Failures that are not internal errors. */
const errorCodes: Readonly<Partial<Record<ErrorCode, ReplyCode>>> = {
  ERR_CONFIG_SYNTAX: ReplyCode.syntax,
  ERR_CONFIG_KEY: ReplyCode.unrecognizedKey,
  ERR_CONFIG_VALUE: ReplyCode.invalidValue,
  ERR_CONTROL_TOO_LONG: ReplyCode.resourceExhausted,
};

/** A message as the sentence that it is in the table's remedies. */
function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;
}

const DONE = encodeReply({ type: 'done' });
