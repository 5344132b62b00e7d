import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desk } from '../../src/device/desk.ts';
import { Outbox, type Outgoing } from '../../src/device/outbox.ts';
import type { ErrorCode, Error as WireError } from '../../src/index.ts';

const say = (content: string): Outgoing => ({
  type: 'send_message',
  data: { conversation_id: 'c', content, client_id: content },
});
const refusal = (code: ErrorCode): WireError => ({ code, message: '', retry_after_ms: 70, details: {} });

/** What goes out now: content and reference. */
function sent(outbox: Outbox, desk: Desk): [string, number][] {
  outbox.pump(desk);
  return desk.take().flatMap((output): [string, number][] => {
    if (output.kind !== 'frame') {
      return [];
    }
    const { data, id = 0 } = output.frame;
    return [['content' in data ? String(data.content) : 'mark', id]];
  });
}

function begun(...contents: string[]): { outbox: Outbox; desk: Desk } {
  const outbox = new Outbox(1);
  outbox.inFlightMax = 10;
  for (const content of contents) {
    outbox.push('c', say(content), 0);
  }
  return { outbox, desk: new Desk() };
}

test('one after another, in order', () => {
  const { outbox, desk } = begun('a', 'b');
  assert.deepEqual(sent(outbox, desk), [['a', 1]]);
  assert.deepEqual(sent(outbox, desk), []);
  outbox.done(1);
  assert.deepEqual(sent(outbox, desk), [['b', 2]]);
  outbox.done(2);
  assert.equal(outbox.empty, true);
  assert.equal(outbox.stored('c'), undefined);
});

test('after a retryable refusal later ones wait until the first is through', () => {
  const { outbox, desk } = begun('a', 'b');
  sent(outbox, desk);
  assert.equal(outbox.refused(1, refusal('shard_unavailable'), desk)?.kind, 'held');
  assert.deepEqual(desk.take(), [{ kind: 'hold', conversation: 'c', attempt: 0, retryAfterMs: 70 }]);
  assert.deepEqual(sent(outbox, desk), []);
  outbox.release('c');
  assert.deepEqual(sent(outbox, desk), [['a', 2]]);
  outbox.refused(2, refusal('busy'), desk);
  assert.deepEqual(desk.take(), [{ kind: 'hold', conversation: 'c', attempt: 1, retryAfterMs: 70 }]);
  outbox.release('c');
  sent(outbox, desk);
  outbox.done(3);
  assert.deepEqual(sent(outbox, desk), [['b', 4]]);
});

test('the same client id after a lost connection and after a reload', () => {
  const { outbox, desk } = begun('a', 'b');
  sent(outbox, desk);
  outbox.disconnected();
  assert.deepEqual(sent(outbox, desk), [['a', 2]]);
  const stored = outbox.stored('c');
  assert.ok(stored);
  const next = new Outbox(1);
  next.restore(structuredClone(stored));
  assert.deepEqual(sent(next, desk), [['a', 1]]);
  assert.equal(next.seen('c', 'a'), true);
  assert.deepEqual(sent(next, desk), [['b', 2]]);
});

test('what is refused for good stays until the user decides, and holds nothing up', () => {
  const { outbox, desk } = begun('a', 'b');
  sent(outbox, desk);
  assert.deepEqual(outbox.refused(1, refusal('blocked'), desk), { kind: 'send', conversation: 'c', clientId: 'a' });
  assert.deepEqual(sent(outbox, desk), [['b', 2]]);
  outbox.done(2);
  assert.equal(outbox.empty, true);
  assert.equal(outbox.stored('c')?.items[0]?.error?.code, 'blocked');
  assert.equal(outbox.retry('c', 'a'), true);
  assert.deepEqual(sent(outbox, desk), [['a', 3]]);
  outbox.refused(3, refusal('blocked'), desk);
  assert.equal(outbox.discard('c', 'a'), true);
  assert.equal(outbox.stored('c'), undefined);
});

test('marks only go forward, and outlive a reload', () => {
  const { outbox, desk } = begun();
  outbox.mark('c', 'read', 5);
  outbox.mark('c', 'read', 3);
  assert.deepEqual(sent(outbox, desk), [['mark', 1]]);
  outbox.mark('c', 'read', 7);
  assert.deepEqual(outbox.done(1), { kind: 'mark', conversation: 'c', mark: 'read', seq: 5 });
  assert.deepEqual(outbox.stored('c')?.marks, { read: 7 });
});

test('never more under way than the server takes', () => {
  const { outbox, desk } = begun();
  outbox.inFlightMax = 2;
  for (const id of ['x', 'y', 'z']) {
    outbox.push(id, say(id), 0);
  }
  assert.equal(sent(outbox, desk).length, 2);
  assert.equal(outbox.underWay, 2);
});
