import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatVersionList,
  isVersion,
  negotiateVersion,
  parseVersionList,
} from '../../src/pt/versions.ts';

test('[PT-3.2.1-06] the list of the specification holds version 1', () => {
  const versions = parseVersionList('1,1a,2b,this_is_a_valid_ver');
  assert.deepEqual(versions, ['1', '1a', '2b', 'this_is_a_valid_ver']);
  assert.equal(negotiateVersion(versions), '1');
});

test('[PT-3.2.1-03] a list with version 1 anywhere is accepted, whatever else it holds', () => {
  const long = Array.from({ length: 5000 }, (_, index) => `v${index}`).join(',');
  for (const list of ['1', '9,1', '1,9', 'a,b,1,c', '1,1', `${long},1,${long}`]) {
    assert.equal(negotiateVersion(parseVersionList(list)), '1');
  }
  for (const list of ['2', '2,3', long])
    assert.equal(negotiateVersion(parseVersionList(list)), undefined);
});

test('[PT-3.2.1-05] versions are compared as whole strings', () => {
  for (const list of ['01', '1a', '1.0', '+1', '11']) {
    assert.equal(negotiateVersion(parseVersionList(list)), undefined, list);
  }
});

test('[PT-3.2.1-04] a version is printable ASCII without white space and comma', () => {
  for (const version of ['!', '~', '1', '+', '-', 'a.b']) assert.ok(isVersion(version), version);
  for (const version of ['', '1 a', '1,2', '1\t', '\x7f', 'é', '1\n', '\0']) {
    assert.ok(!isVersion(version), JSON.stringify(version));
    assert.throws(() => formatVersionList(['1', version]), { code: 'ERR_PT_VERSION' });
  }
  for (const list of ['', '1,,2', '1, 2', '1,', ',1', '1\n']) {
    assert.throws(() => parseVersionList(list), { code: 'ERR_PT_VERSION' }, list);
  }
});

test('[PT-3.2.1-02] the offer is a comma-delimited list', () => {
  assert.equal(formatVersionList(['1', '2']), '1,2');
  assert.throws(() => formatVersionList([]), { code: 'ERR_PT_VERSION' });
});
