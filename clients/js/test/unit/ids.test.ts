import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOff } from '../../src/net/back-off.ts';
import { directConversation, randomUuid, usersOfDirect } from '../../src/net/ids.ts';

const MOST = Number.MAX_SAFE_INTEGER;
/** From the server's own tests. */
const DIRECT: [number, number, string][] = [
  [1, 2, '00000000-0000-8080-8000-000000020000'],
  [2, 1, '00000000-0000-8080-8000-000000020000'],
  [7, 7, '00000000-0000-8380-8000-000000070000'],
  [1, MOST, '00000000-0000-80ff-bfff-ffffffff0000'],
  [MOST, MOST, 'ffffffff-ffff-8fff-bfff-ffffffff0000'],
];

test('the id of a direct conversation holds both users', () => {
  for (const [a, b, id] of DIRECT) {
    assert.equal(directConversation(a, b), id);
    assert.deepEqual(usersOfDirect(id), [Math.min(a, b), Math.max(a, b)]);
  }
  assert.equal(usersOfDirect('01a20092-2aef-79f9-8430-b2c8d22fe9f0'), undefined);
});

test('random ids are UUIDs of version 4', () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, at) => 255 - at);
  assert.equal(randomUuid(bytes), 'fffefdfc-fbfa-49f8-b7f6-f5f4f3f2f1f0');
});

test('waits double up to a bound and are never shorter than asked', () => {
  for (let failures = 0; failures < 100; failures += 1) {
    const bound = Math.min(30_000, 250 * 2 ** failures);
    assert.ok(backOff(failures, undefined, () => 0.999) < bound);
    assert.equal(
      backOff(failures, undefined, () => 0),
      0,
    );
    assert.ok(backOff(failures, 1_000, () => 0) >= 1_000);
  }
});
