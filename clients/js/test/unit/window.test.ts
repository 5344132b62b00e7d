import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excerpt, type Page, type Row } from '../../src/device/rows.ts';
import { type Change, Window } from '../../src/device/window.ts';
import { LIMITS } from '../../src/index.ts';

function row(seq: number, rev: number, more: Partial<Row> = {}): Row {
  const content = `${seq} at ${rev}`;
  const base = { message_id: String(seq), conversation_id: 'c', sender_id: 1, type: 'text' as const, timestamp: seq };
  return { ...base, seq, rev, content_rev: rev, content, ...more };
}

/** Seqs `lo` to `hi`, each as its first change left it. */
function page(rev: number, lo: number, hi: number, more: Partial<Page> = {}): Page {
  const rows = new Map<number, Row>();
  for (let seq = lo; seq <= hi; seq += 1) {
    rows.set(seq, row(seq, seq));
  }
  return { rev, lo, hi, rows, tail: false, firstSeq: 1, focus: false, ...more };
}

const change = (made: Row): Change => ({ kind: 'row', row: made });
const seqs = (window: Window) => window.shown().map(({ seq }) => seq);
const from = (lo: number, hi: number) => Array.from({ length: hi - lo + 1 }, (_, at) => lo + at);

function changes(rev: number, more: boolean, ...messages: Row[]) {
  return { messages, members: [], receipts: [], rev, mark_rev: 0, history: '1', more, reset: false };
}

test('events are applied in order and never over a jump', () => {
  const window = Window.begin(page(9, 5, 9, { tail: true }), 9);
  assert.equal(window.event(10, change(row(10, 10))), true);
  assert.equal(window.event(12, change(row(12, 12))), false);
  assert.equal(window.event(10, change(row(10, 10, { content: 'again' }))), false);
  assert.deepEqual(seqs(window), from(5, 10));
  assert.equal(window.rev, 10);
  assert.equal(window.event(11, { kind: 'unknown' }), false);
});

test('what changed with gaps is shown only up to the first gap', () => {
  const window = Window.begin(page(9, 5, 9, { tail: true }), 9);
  window.changes(9, changes(10, true, row(11, 11)));
  assert.deepEqual(seqs(window), from(5, 9));
  assert.equal(window.midway, true);
  window.changes(10, changes(13, false, row(10, 13)));
  assert.deepEqual(seqs(window), from(5, 11));
  assert.equal(window.midway, false);
});

test('an older page waits until it has caught up, and a newer one does not raise the own rev', () => {
  const window = Window.begin(page(20, 15, 20, { tail: true }), 20);
  window.event(21, change(row(12, 21, { content: 'edited' })));
  window.page(page(18, 10, 14));
  assert.deepEqual(seqs(window), from(15, 20));
  assert.equal(window.since, 18);
  window.changes(18, changes(21, false, row(12, 21, { content: 'edited' })));
  assert.deepEqual(seqs(window), from(10, 20));
  assert.equal(window.row(12)?.content, 'edited');
  window.page(page(30, 8, 9));
  assert.equal(window.rev, 21);
  assert.deepEqual(seqs(window), from(8, 20));
});

test('jumping keeps the newest messages; intervals that meet become one', () => {
  const window = Window.begin(page(100, 90, 100, { tail: true }), 100);
  window.page(page(100, 40, 49, { focus: true }));
  assert.deepEqual(seqs(window), from(40, 49));
  window.event(101, change(row(101, 101)));
  window.event(102, change(row(45, 102, { content: 'edited' })));
  assert.equal(window.row(45)?.content, 'edited');
  window.page(page(102, 50, 89));
  assert.deepEqual(window.intervals, [{ lo: 40, hi: 101 }]);
  window.focus = undefined;
  assert.deepEqual(seqs(window), from(40, 101));
});

test('a page above a gap does not pass for the newest messages', () => {
  const window = Window.begin(page(10, 1, 10, { tail: true }), 10);
  window.page(page(60, 40, 50));
  assert.equal(window.tail, false);
  window.changes(10, changes(60, false, row(11, 11), row(13, 13)));
  assert.deepEqual(window.intervals, [
    { lo: 1, hi: 11 },
    { lo: 40, hi: 50 },
  ]);
});

test('trimming keeps the newest and forgets the rest', () => {
  const window = Window.begin(page(100, 1, 100, { tail: true }), 100);
  window.dirty.clear();
  window.trim(10);
  assert.deepEqual(window.intervals, [{ lo: 91, hi: 100 }]);
  assert.equal(window.size, 10);
  assert.equal(window.dirty.size, 90);
  window.trim(0);
  assert.deepEqual(window.intervals, [{ lo: 101, hi: 100 }]);
  window.event(101, change(row(101, 101)));
  assert.deepEqual(seqs(window), [101]);
});

test('what is stored is taken back only when it is whole', () => {
  const window = Window.begin(page(9, 5, 9, { tail: true }), 9);
  const rows = window.shown();
  assert.deepEqual(Window.restore(window.meta(), rows)?.shown(), rows);
  assert.equal(Window.restore(window.meta(), rows.slice(1)), undefined);
});

test('replies follow what they quote', () => {
  const window = Window.begin(page(9, 5, 9, { tail: true }), 9);
  window.event(10, change(row(10, 10, { reply_to: { seq: 3, sender_id: 1, excerpt: 'old' } })));
  window.event(11, change(row(11, 11, { reply_to: { seq: 7, sender_id: 1, excerpt: 'old' } })));
  assert.equal(window.row(11)?.reply_to?.excerpt, '7 at 7');
  window.event(12, change(row(3, 12, { content: 'not held, but quoted' })));
  assert.equal(window.row(10)?.reply_to?.excerpt, 'not held, but quoted');
  window.event(13, { kind: 'deleted', deleted: { seq: 7, rev: 13, deleted_at: 1, deleted_by: 1 } });
  assert.equal(window.row(11)?.reply_to?.excerpt, '');
  assert.equal(window.row(7)?.content, undefined);
});

test('an excerpt is cut at a character', () => {
  const most = LIMITS.excerpt_units;
  assert.equal(excerpt(row(1, 1, { content: 'x'.repeat(most + 1) })).length, most);
  assert.equal(excerpt(row(1, 1, { content: `${'x'.repeat(most - 1)}😀` })), 'x'.repeat(most - 1));
  assert.equal(excerpt(row(1, 1, { content: null })), '');
});
