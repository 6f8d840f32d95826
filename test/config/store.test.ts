import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ApplyConfiguration, ConfigStore, type TorrcFile } from '../../src/config/store.ts';
import { PosternError } from '../../src/errors.ts';

/** A torrc without a disk. */
class MemoryTorrc implements TorrcFile {
  text: string | undefined;
  failure: Error | undefined;

  constructor(text?: string) {
    this.text = text;
  }

  async included(): Promise<[]> {
    return [];
  }

  async read(): Promise<string | undefined> {
    return this.text;
  }

  async write(text: string): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.text = text;
  }
}

interface Opened {
  readonly file: MemoryTorrc;
  readonly store: ConfigStore;
  /** The changes that were applied, as the names of what changed. */
  readonly applied: string[][];
}

async function open(text: string, apply?: ApplyConfiguration): Promise<Opened> {
  const file = new MemoryTorrc(text);
  const store = await ConfigStore.open(file);
  const applied: string[][] = [];
  store.onChange(async (next, previous, changed, isReload) => {
    await apply?.(next, previous, changed, isReload);
    applied.push([...changed]);
  });
  return { file, store, applied };
}

function valueOf(store: ConfigStore, key: string): string | undefined {
  return store.get([key])[0]?.value;
}

describe('open', () => {
  test('a torrc that is not there, or not valid, is an error', async () => {
    await assert.rejects(ConfigStore.open(new MemoryTorrc()), { code: 'ERR_CONFIG_FILE' });
    await assert.rejects(ConfigStore.open(new MemoryTorrc('\nNope 1')), {
      code: 'ERR_CONFIG_KEY',
      message: /line 2/,
    });
  });
});

describe('set', () => {
  test('checks, applies, and only then is it in force', async () => {
    const seen: (string | undefined)[] = [];
    const { store, applied } = await open('Nickname a', async (next, previous) => {
      seen.push(previous.values.Nickname, next.values.Nickname, valueOf(store, 'Nickname'));
    });
    await store.set('Nickname b\nContactInfo x');
    assert.deepEqual(seen, ['a', 'b', 'a']);
    assert.deepEqual(applied, [['Nickname', 'ContactInfo']]);
    assert.equal(valueOf(store, 'Nickname'), 'b');
  });

  test('what is the same as before is not applied', async () => {
    const { store, applied } = await open('Nickname a');
    await store.set('Nickname a\nBandwidthRate 1 GB\nContactInfo\n');
    assert.deepEqual(applied, []);
  });

  test('[TC-3.3-04] one bad line and nothing is applied', async () => {
    const { store, applied } = await open('Nickname a');
    for (const [bad, code] of [
      ['NoSuchOption 1', 'ERR_CONFIG_KEY'],
      ['ORPort banana', 'ERR_CONFIG_VALUE'],
      ['ORPort 99999', 'ERR_CONFIG_VALUE'],
      ['ContactInfo "', 'ERR_CONFIG_SYNTAX'],
      ['UseBridges 1', 'ERR_CONFIG_VALUE'],
    ] as const) {
      await assert.rejects(store.set(`Nickname b\n${bad}`), { code });
    }
    assert.deepEqual(applied, []);
    assert.equal(valueOf(store, 'Nickname'), 'a');
  });

  test('an effect that fails is a bad value, and nothing is in force', async () => {
    const cause = new PosternError('ERR_LISTEN_IN_USE', 'port 9150 is in use');
    const { store } = await open('', () => Promise.reject(cause));
    await assert.rejects(store.set('SocksPort 9150'), {
      code: 'ERR_CONFIG_VALUE',
      message: 'port 9150 is in use',
      cause,
    });
    assert.equal(valueOf(store, 'SocksPort'), '9050');
  });

  test('a defect in the effect is not dressed up as a bad value', async () => {
    const defect = new TypeError('x is not a function');
    const { store } = await open('', () => Promise.reject(defect));
    await assert.rejects(store.set('SocksPort 9150'), defect);
    assert.equal(valueOf(store, 'SocksPort'), '9050');
  });

  test('an option that is fixed can be named, but not changed', async () => {
    const { store, applied } = await open('DataDirectory /a');
    await store.set('DataDirectory /a');
    for (const lines of ['DataDirectory /b', 'DataDirectory', 'Nickname b\nDataDirectory /b']) {
      await assert.rejects(store.set(lines), {
        code: 'ERR_CONFIG_VALUE',
        message: /^DataDirectory: cannot be changed while/,
      });
    }
    assert.deepEqual(applied, []);
  });

  test('changes happen in the order of the calls, each on top of the one before', async () => {
    const order: string[] = [];
    const { store } = await open('', async (next) => {
      order.push(`begin ${next.values.Nickname}`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`end ${next.values.Nickname} ${next.values.ContactInfo}`);
    });
    const refused = store.set('Nickname b\nSafeLogging maybe');
    await Promise.all([
      store.set('Nickname a\nContactInfo x'),
      store.set('Nickname c'),
      assert.rejects(refused),
    ]);
    assert.deepEqual(order, ['begin a', 'end a x', 'begin c', 'end c x']);
  });
});

describe('save', () => {
  test('[TC-3.9-02] writes what is in force; what was not saved is gone after a restart', async () => {
    const { file, store } = await open('# mine\nNickname a\n');
    await store.set('Nickname b');
    assert.equal(valueOf(await ConfigStore.open(file), 'Nickname'), 'a');
    await store.save();
    assert.equal(file.text, '# mine\nNickname b\n');
    assert.equal(valueOf(await ConfigStore.open(file), 'Nickname'), 'b');
  });

  test('[TC-3.3-07] an option that went back to its default is gone from the file', async () => {
    const { file, store } = await open('Nickname a\nContactInfo x\n');
    await store.set('ContactInfo');
    await store.save();
    assert.equal(file.text, 'Nickname a\n');
  });

  test('comments that were added meanwhile are kept, settings are not', async () => {
    const { file, store } = await open('Nickname a\n');
    file.text = '# new\nNickname z\n# newer\nContactInfo z\n';
    await store.save();
    assert.equal(file.text, '# new\nNickname a\n# newer\n');
  });

  test('a torrc that has been deleted comes back', async () => {
    const { file, store } = await open('Nickname a\n');
    file.text = undefined;
    await store.save();
    assert.equal(file.text, 'Nickname a\n');
  });

  test('[TC-3.9-03] a failure is told, and the store goes on', async () => {
    const { file, store } = await open('Nickname a\n');
    await store.set('Nickname b');
    file.failure = new PosternError('ERR_CONFIG_FILE', 'the disk is full');
    await assert.rejects(store.save(), file.failure);
    assert.equal(file.text, 'Nickname a\n');
    file.failure = undefined;
    await store.save();
    assert.equal(file.text, 'Nickname b\n');
  });
});

describe('reload', () => {
  test('brings the file in force; what was set and not saved is lost', async () => {
    const { file, store, applied } = await open('Nickname a\n');
    await store.set('Nickname b\nContactInfo unsaved');
    file.text = 'Nickname c\n';
    await store.reload();
    assert.equal(valueOf(store, 'Nickname'), 'c');
    assert.equal(valueOf(store, 'ContactInfo'), undefined);
    assert.deepEqual(applied[1], ['Nickname', 'ContactInfo']);
  });

  test('a torrc that has become invalid, or is gone, leaves the running configuration', async () => {
    const { file, store, applied } = await open('Nickname a\nDataDirectory /a\n');
    for (const [text, code] of [
      ['Nickname', 'ERR_CONFIG_VALUE'], // DataDirectory is gone
      ['DataDirectory /a\nNickname b\nNoSuchOption', 'ERR_CONFIG_KEY'],
      ['DataDirectory /a\nNickname b\nSocksPort x', 'ERR_CONFIG_VALUE'],
      ['DataDirectory /a\nNickname "b', 'ERR_CONFIG_SYNTAX'],
      [undefined, 'ERR_CONFIG_FILE'],
    ] as const) {
      file.text = text;
      await assert.rejects(store.reload(), { code });
    }
    assert.equal(valueOf(store, 'Nickname'), 'a');
    assert.deepEqual(applied, []);
  });
});
