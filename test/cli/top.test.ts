/** `postern top`: what the screen shows, what keys do, and how the terminal is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { initialState, pressKey, type State } from '../../src/cli/top/keys.ts';
import { renderScreen } from '../../src/cli/top/screen.ts';
import { Terminal } from '../../src/cli/top/terminal.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { ViewModel } from '../../src/view/model.ts';
import { startCommand } from '../support/command.ts';
import { connectThrough, startBridge, startClient } from '../support/engine.ts';
import { peerProgram } from '../support/peers.ts';
import { postern } from '../support/pt-programs.ts';
import { echo, listen } from '../support/sockets.ts';

function busyModel(): ViewModel {
  const model = new ViewModel();
  for (let id = 1; id <= 100; id += 1) {
    model.apply({ type: 'stream', status: 'succeeded', id, target: `host${id}.example:443` }, 0);
  }
  model.apply({ type: 'circuit', status: 'built', id: 7, path: ['gate', 'inner'] }, 0);
  model.apply({ type: 'orConnection', status: 'connected', name: 'gate' }, 0);
  model.apply({ type: 'log', message: 'evil \x1b[2J\x07 line '.padEnd(400, 'x') }, 0);
  for (let at = 0; at < 400; at += 1) model.apply({ type: 'bandwidth', read: at, written: 1 }, 0);
  return model;
}

const render = (state: Partial<State>, columns: number, rows: number, hasColor = false) =>
  renderScreen(
    { model: busyModel(), mappings: [], problem: undefined, place: '127.0.0.1:9051' },
    { ...initialState, ...state },
    { columns, rows, hasColor },
  );

function press(state: State, ...keys: readonly string[]) {
  let outcome: ReturnType<typeof pressKey> = { state };
  for (const key of keys) outcome = pressKey(outcome.state, key, 10);
  return outcome;
}

describe('the screen', () => {
  test('fits the terminal, whatever its size and the page; nothing of a daemon is a command', () => {
    for (const [columns, rows] of [
      [80, 24],
      [120, 40],
      [200, 60],
      [40, 10],
    ] as const) {
      for (const page of ['overview', 'links', 'circuits', 'streams', 'log', 'mappings'] as const) {
        const lines = render({ page }, columns, rows);
        assert.equal(lines.length, rows);
        for (const line of lines) {
          assert.ok(Array.from(line).length <= columns, `${page} ${columns}: ${line}`);
          assert.doesNotMatch(line, /\p{Cc}/u);
        }
      }
    }
  });

  test('has colours only where they are wanted', () => {
    assert.ok(render({}, 80, 24, true).some((line) => line.includes('\x1b[')));
    assert.ok(!render({}, 80, 24).some((line) => line.includes('\x1b')));
  });

  test('filters, scrolls, and says what it cannot show', () => {
    const streams = render({ page: 'streams', filter: 'HOST77' }, 80, 24);
    assert.equal(streams.filter((line) => line.includes('example')).length, 1);
    assert.ok(
      render({ page: 'streams', scroll: 1e6 }, 80, 24).some((line) => line.includes('host100.')),
    );
    assert.ok(
      render({ page: 'streams', filter: 'zzz' }, 80, 24).includes('nothing fits the filter'),
    );
  });
});

describe('the keys', () => {
  test('choose a page, pause, filter, quit', () => {
    assert.equal(press(initialState, '4').state.page, 'streams');
    assert.equal(press(initialState, 'tab').state.page, 'links');
    assert.equal(press(initialState, 'p').state.isPaused, true);
    assert.equal(press(initialState, '/', 'a', 'q', 'backspace', 'enter').state.filter, 'a');
    assert.equal(press(initialState, '/', 'a', 'escape').state.filter, '');
    assert.equal(press(initialState, 'q').quits, true);
    assert.equal(press(initialState, '/', 'ctrl-c').quits, true);
  });

  test('send a signal only after a question', () => {
    assert.equal(press(initialState, 's', 'h').send, undefined);
    assert.equal(press(initialState, 's', 'h', 'y').send, 'halt');
    for (const keys of [
      ['s', 'h', 'n'],
      ['s', 'x', 'y'],
      ['h', 'y'],
      ['/', 's', 'h', 'y'],
    ]) {
      assert.equal(press(initialState, ...keys).send, undefined, keys.join(' '));
    }
  });
});

test('the terminal is left as it was found', () => {
  const raw: boolean[] = [];
  const keyboard = Object.assign(new PassThrough(), {
    setRawMode: (isRaw: boolean) => raw.push(isRaw),
  });
  const screen = Object.assign(new PassThrough(), { columns: 80, rows: 24 });
  const keys: string[] = [];
  const terminal = new Terminal(keyboard, screen);
  terminal.listen(
    (key) => keys.push(key),
    () => {},
  );
  keyboard.emit('data', 'q\x1b[A\x1b\r\x7f');
  terminal.draw(['a', 'b']);
  terminal.close();
  terminal.close();
  assert.deepEqual(keys, ['q', 'up', 'escape', 'enter', 'backspace']);
  assert.deepEqual(raw, [true, false]);
  let written = '';
  for (let chunk: unknown; (chunk = screen.read()) !== null;)
    written += (chunk as Buffer).toString();
  for (const mode of ['?1049', '?25', '?7']) {
    const last = written.match(new RegExp(`\\x1b\\[\\${mode}[hl]`, 'g'))!;
    assert.equal(last.length, 2, mode);
    assert.notEqual(last[0], last[1]);
  }
  assert.equal(
    process.listeners('exit').some((each) => String(each).includes('this.close')),
    false,
  );
});

/** A daemon that carries a stream, and where it is controlled. */
async function startDaemon(t: TestContext): Promise<string> {
  const target = await listen(t, echo);
  const bridge = await startBridge(t);
  const client = await startClient(t, [bridge], 'ControlPort auto\nNickname gate\n');
  await connectThrough(client, target.endpoint);
  return formatEndpoint(client.engine.endpoints.control[0]!);
}

test('where its output is no terminal it prints lines', async (t) => {
  const command = startCommand(['top', '--control', await startDaemon(t)]);
  await command.stdout.match(/^\S+Z read \d+ written \d+ links 1 circuits 1 streams 1$/m);
  command.drain();
  assert.equal(await command.exitCode, 0);
  assert.doesNotMatch(command.stdout.text, /\p{Cc}(?<!\n)/u);
});

const tmux = peerProgram('tmux');

describe('in tmux', { skip: tmux === undefined ? 'tmux is not installed' : false }, () => {
  for (const [columns, rows] of [
    [80, 24],
    [120, 40],
    [200, 60],
  ] as const) {
    test(`${columns} by ${rows}`, async (t) => {
      const place = await startDaemon(t);
      const folder = mkdtempSync(join(tmpdir(), 'postern-top-'));
      const call = (...args: string[]): string =>
        execFileSync(tmux!, ['-S', join(folder, 'socket'), '-f', '/dev/null', ...args], {
          encoding: 'utf8',
          env: { ...process.env, LC_ALL: 'C.UTF-8', TERM: 'xterm' },
        });
      t.after(() => {
        try {
          call('kill-server');
        } catch {
          // It has ended with its last session.
        }
        rmSync(folder, { recursive: true, force: true });
      });
      /** The screen, as soon as it looks so. */
      const until = async (pattern: RegExp): Promise<string> => {
        for (;;) {
          const screen = call('capture-pane', '-p');
          if (pattern.test(screen)) return screen;
          await wait(50);
        }
      };
      const command = postern.command.map((word) => `'${word}'`).join(' ');
      const script = `echo found; ${command} top --control ${place}; echo left with $?; exec cat`;
      call('new-session', '-d', '-x', String(columns), '-y', String(rows), script);
      const overview = await until(
        /1 links {2}1 circuits {2}1 streams[^]*1 OVERVIEW[^]*read .*B\/s, at most/,
      );
      assert.equal(overview.trimEnd().split('\n').length, rows);
      call('send-keys', '3');
      await until(/3 CIRCUITS[^]*1 +built/);
      call('send-keys', 's', 'd');
      await until(/send dump to the daemon\? y/);
      call('send-keys', 'y');
      call('send-keys', '5');
      await until(/5 LOG[^]*has run for[^]*has run for/);
      call('resize-window', '-x', '90', '-y', '20');
      await until(/5 LOG/);
      call('send-keys', 'q');
      assert.match(await until(/left with 0/), /^found\nleft with 0\n/);
      assert.equal(
        call('display', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}').trim(),
        '0 1 1',
      );
    });
  }
});
