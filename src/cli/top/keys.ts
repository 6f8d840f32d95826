/** What the keys of `postern top` do. No key changes anything in the daemon without asking first. */
import type { Signal } from '../../control/messages.ts';
import { type Choices, pages } from './screen.ts';

/** What the user does at this moment. */
type Mode =
  | { readonly kind: 'looking' }
  | { readonly kind: 'filtering' }
  /** Which signal it is to be. */
  | { readonly kind: 'choosing' }
  | { readonly kind: 'confirming'; readonly signal: Signal };

/** The choices with the mode. */
export interface State extends Choices {
  readonly mode: Mode;
}

/** The result of a key. */
export interface Outcome {
  readonly state: State;
  /** To be sent to the daemon. */
  readonly send?: Signal;
  readonly quits?: true;
}

export const initialState: State = {
  page: 'overview',
  filter: '',
  isPaused: false,
  scroll: 0,
  prompt: undefined,
  mode: { kind: 'looking' },
};

const signals: Readonly<Record<string, Signal>> = {
  r: 'reload',
  d: 'dump',
  g: 'debug',
  s: 'shutdown',
  h: 'halt',
};
const CHOOSE = 'signal: r reload  d dump  g debug  s shutdown  h halt  (any other key: none)';

/** @param page how many rows a page has */
export function pressKey(state: State, key: string, page: number): Outcome {
  if (key === 'ctrl-c') return { state, quits: true };
  const look = (changes: Partial<State>): Outcome => ({
    state: { ...state, mode: { kind: 'looking' }, prompt: undefined, ...changes },
  });
  switch (state.mode.kind) {
    case 'filtering':
      return filter(state, key, look);
    case 'choosing': {
      const signal = signals[key];
      if (signal === undefined) return look({});
      const prompt = `send ${signal} to the daemon? y sends it, any other key does not`;
      return look({ mode: { kind: 'confirming', signal }, prompt });
    }
    case 'confirming':
      return key === 'y' ? { ...look({}), send: state.mode.signal } : look({});
    case 'looking':
      return command(state, key, page, look);
  }
}

type Look = (changes: Partial<State>) => Outcome;

function command(state: State, key: string, page: number, look: Look): Outcome {
  const chosen = pages[Number(key) - 1];
  if (chosen !== undefined) return look({ page: chosen, scroll: 0 });
  const scrollBy = (rows: number): Outcome => look({ scroll: Math.max(0, state.scroll + rows) });
  switch (key) {
    case 'q':
      return { state, quits: true };
    case 'tab':
      return look({ page: pages[(pages.indexOf(state.page) + 1) % pages.length]!, scroll: 0 });
    case 'p':
      return look({ isPaused: !state.isPaused });
    case '/':
      return look({ mode: { kind: 'filtering' }, filter: '', prompt: 'filter: _' });
    case 's':
      return look({ mode: { kind: 'choosing' }, prompt: CHOOSE });
    case 'up':
      return scrollBy(-1);
    case 'down':
      return scrollBy(1);
    case 'pageup':
      return scrollBy(-page);
    case 'pagedown':
      return scrollBy(page);
    default:
      return { state };
  }
}

function filter(state: State, key: string, look: Look): Outcome {
  if (key === 'enter') return look({ scroll: 0 });
  if (key === 'escape') return look({ filter: '', scroll: 0 });
  const typed =
    key === 'backspace'
      ? state.filter.slice(0, -1)
      : key.length > 2
        ? state.filter
        : state.filter + key;
  return look({ mode: { kind: 'filtering' }, filter: typed, prompt: `filter: ${typed}_` });
}
