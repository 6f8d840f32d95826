import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinTransports, TransportRegistry } from '../../src/transports/registry.ts';
import { createRot } from '../support/test-transport.ts';

test('[PT-3.1-01] two transports of one name are refused; letter case makes another name', () => {
  const registry = new TransportRegistry([createRot({ name: 'obfs4' })]);
  assert.throws(() => registry.register(createRot({ name: 'obfs4' })), {
    code: 'ERR_TRANSPORT_DUPLICATE',
  });
  registry.register(createRot({ name: 'Obfs4' }));
  assert.deepEqual(
    [...registry].map(({ name }) => name),
    ['obfs4', 'Obfs4'],
  );
});

test('[PT-3.1-02] a name that is no C identifier is refused', () => {
  for (const name of ['a-b', 'a.b', '9x', '', 'a\n', 'obfs\u00e4']) {
    assert.throws(() => new TransportRegistry([createRot({ name })]), { name: 'PosternError' });
  }
});

test('a name that nobody registered is undefined to ask for, and an error to rely on', () => {
  const registry = new TransportRegistry([createRot()]);
  assert.equal(registry.find('nobody'), undefined);
  assert.equal(registry.get('rot').name, 'rot');
  assert.throws(() => registry.get('nobody'), { code: 'ERR_TRANSPORT_UNKNOWN', message: /rot/ });
});

test('the transports that come with it', () => {
  for (const name of ['obfs2', 'obfs3', 'obfs4', 'scramblesuit'])
    assert.equal(builtinTransports.get(name).name, name);
});
