/**
 * The state that a server keeps from one start to the next: a JSON file, and a second copy of it.
 *
 * When a bridge loses its identity, all bridge lines that people have stop working. So there is a whole copy at
 * every instant: one file is replaced after the other, each in one step, and the second copy is never made
 * from the first, which may have been damaged since.
 */
import { PosternError } from '../errors.ts';
import type { ServerContext } from './contract.ts';

/** The names in a state file and what stands there. */
export type StateFields = Readonly<Record<string, unknown>>;

/** What is kept, and how it is written. */
export interface StateFormat<State> {
  /** The PT name, for messages. */
  readonly transport: string;
  readonly file: string;
  /** The fields of the file for a state. */
  format(state: State): StateFields;
  /** @throws anything when it is not whole; a PosternError says what is wrong, without the value */
  parse(fields: StateFields): State;
}

/** The state of one server. */
export class KeptState<State> {
  readonly #format: StateFormat<State>;
  readonly #context: ServerContext;
  #saved: Promise<void> = Promise.resolve();

  constructor(format: StateFormat<State>, context: ServerContext) {
    this.#format = format;
    this.#context = context;
  }

  /**
   * The saved state, else its second copy, else a new one, which is then saved. What is damaged or missing
   * is mended; where the disk does not let us, the server starts all the same, for it knows who it is.
   *
   * @throws PosternError `ERR_TRANSPORT_STATE` when there is a state and no copy of it is whole: never
   *   a new one in silence
   */
  async load(create: () => State | Promise<State>): Promise<State> {
    const { state: store, notify } = this.#context;
    const { transport, file } = this.#format;
    const first = await store.read(file);
    const second = await store.read(secondOf(file));
    if (first === undefined && second === undefined) {
      const created = await create();
      await this.save(created);
      return created;
    }
    const parsed = first === undefined ? 'is missing' : this.#parse(first);
    if (!isFault(parsed)) {
      // Both copies must be the same: the second one may be damaged, older or missing.
      if (second === undefined || !Buffer.from(second).equals(first!)) {
        await this.#mend(secondOf(file), first!);
      }
      return parsed;
    }
    const restored = second && this.#parse(second);
    if (restored === undefined || isFault(restored)) {
      throw new PosternError(
        'ERR_TRANSPORT_STATE',
        `${transport}: ${store.describe(file)} ${parsed}, and there is no whole previous copy; restore it ` +
          'from a backup, or delete it and its previous copy to start anew with another bridge line',
      );
    }
    notify(`${transport}: ${file} ${parsed}; it is restored from its previous copy`);
    await this.#mend(file, second!);
    return restored;
  }

  /**
   * Replaces both copies, one after the other and after what is being saved already.
   *
   * @throws what the store does
   */
  save(state: State): Promise<void> {
    const { state: store } = this.#context;
    const { file } = this.#format;
    const content = Buffer.from(JSON.stringify(this.#format.format(state)));
    const saving = this.#saved.then(async () => {
      await store.write(file, content);
      await store.write(secondOf(file), content);
    });
    this.#saved = saving.catch(() => {});
    return saving;
  }

  /** Waits until a save that is under way has succeeded or failed. */
  close(): Promise<void> {
    return this.#saved;
  }

  async #mend(file: string, content: Uint8Array): Promise<void> {
    const { state: store, notify } = this.#context;
    try {
      await store.write(file, content);
    } catch (error) {
      notify(`${this.#format.transport}: ${file} cannot be mended: ${reasonOf(error)}`);
    }
  }

  /** The state in a file's bytes, or what is wrong with them. */
  #parse(content: Uint8Array): State | string {
    let fields: unknown;
    try {
      fields = JSON.parse(Buffer.from(content).toString('utf8'));
    } catch {
      return content.length === 0 ? 'is empty' : 'is not JSON: it was cut or overwritten';
    }
    try {
      return this.#format.parse(fields as StateFields);
    } catch (error) {
      return error instanceof PosternError ? `is damaged: ${error.message}` : 'is damaged';
    }
  }
}

function isFault<State>(parsed: State | string): parsed is string {
  return typeof parsed === 'string';
}

function secondOf(file: string): string {
  return `${file}.previous`;
}

/** Why it cannot be saved, for the operator: without secrets. */
export function reasonOf(error: unknown): string {
  return error instanceof PosternError ? error.message : 'unknown error';
}
