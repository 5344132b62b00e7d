// The contract of a storage, on each of them; and what happens when one fails.

import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexedDbStorage, MemoryStorage, type Row, type Storage, type Write } from '../../src/index.ts';
import { Saver } from '../../src/saver.ts';
import { VERSION } from '../../src/storage/storage.ts';

let accounts = 0;
const kinds: Record<string, () => Storage> = {
  memory: () => new MemoryStorage(),
  IndexedDB: () => new IndexedDbStorage(`https://one.example/${accounts++}`),
};

const listing = { cursor: 'c', userRev: 7, chain: undefined };
const row = (seq: number): Row => ({
  message_id: String(seq),
  conversation_id: 'a',
  seq,
  rev: seq,
  content_rev: seq,
  sender_id: 1,
  type: 'text',
  timestamp: 0,
});
const conversation = (id: string) => ({
  id,
  history: '1',
  heard: 3,
  info: undefined,
  line: undefined,
  window: undefined,
});
const message = (id: string, seq: number): Write => ({ table: 'messages', id, seq, value: row(seq) });
const seqs = (rows: readonly Row[] | undefined) => (rows ?? []).map(({ seq }) => seq).sort((a, b) => a - b);

for (const [name, make] of Object.entries(kinds)) {
  test(`${name}: what is written is there, by conversation`, async () => {
    const storage = make();
    assert.deepEqual(await storage.load(), { meta: undefined, conversations: [], queues: [] });
    assert.equal(await storage.read('a'), undefined);
    const meta = { version: VERSION, userId: 1, listing };
    const queue = { id: 'a', items: [], marks: { read: 3 } };
    await storage.write([
      { table: 'meta', value: meta },
      { table: 'conversations', id: 'a', value: conversation('a') },
      { table: 'conversations', id: 'ab', value: conversation('ab') },
      { table: 'queues', id: 'a', value: queue },
      ...[1, 2, 300].map((seq) => message('a', seq)),
      message('ab', 4),
    ]);
    const stored = await storage.load();
    assert.deepEqual(stored.meta, meta);
    assert.deepEqual(stored.conversations.map(({ id }) => id).sort(), ['a', 'ab']);
    assert.deepEqual(stored.queues, [queue]);
    assert.deepEqual(seqs((await storage.read('a'))?.rows), [1, 2, 300]);

    await storage.write([
      { table: 'messages', id: 'a', seq: 2, value: undefined },
      { table: 'queues', id: 'a', value: undefined },
    ]);
    assert.deepEqual(seqs((await storage.read('a'))?.rows), [1, 300]);
    await storage.write([{ table: 'messages', id: 'a', seq: 'all', value: undefined }, message('a', 9)]);
    assert.deepEqual(seqs((await storage.read('a'))?.rows), [9]);
    assert.deepEqual(seqs((await storage.read('ab'))?.rows), [4]);
    assert.deepEqual((await storage.load()).queues, []);
    storage.close();
  });

  test(`${name}: erased, nothing stays, and it serves on`, async () => {
    const storage = make();
    await storage.write([{ table: 'conversations', id: 'a', value: conversation('a') }, message('a', 1)]);
    await storage.erase();
    assert.deepEqual((await storage.load()).conversations, []);
    await storage.write([{ table: 'conversations', id: 'a', value: conversation('a') }]);
    assert.deepEqual((await storage.read('a'))?.rows, []);
    storage.close();
  });
}

test('IndexedDB: two accounts do not mix, one account is found again', async () => {
  const [alice, bob] = [new IndexedDbStorage('alice'), new IndexedDbStorage('bob')];
  await alice.write([{ table: 'conversations', id: 'a', value: conversation('a') }]);
  assert.deepEqual((await bob.load()).conversations, []);
  alice.close();
  const again = new IndexedDbStorage('alice');
  assert.equal((await again.load()).conversations.length, 1);
  await bob.erase();
  assert.equal((await again.load()).conversations.length, 1);
});

test('IndexedDB: a batch is there as a whole or not at all', async () => {
  const storage = new IndexedDbStorage('whole');
  const unclonable = { ...conversation('b'), info: (() => undefined) as never };
  await assert.rejects(
    storage.write([
      { table: 'conversations', id: 'a', value: conversation('a') },
      { table: 'conversations', id: 'b', value: unclonable },
    ]),
  );
  assert.deepEqual((await storage.load()).conversations, []);
});

test('a storage that fails is replaced by memory, once, and everything is written there', async () => {
  const broken = new MemoryStorage();
  broken.write = () => Promise.reject(new Error('full'));
  const failures: unknown[] = [];
  let batch: Write[] = [message('a', 1)];
  const take = () => batch.splice(0);
  const saver = new Saver(broken, take, (error) => {
    failures.push(error);
    batch = [{ table: 'conversations', id: 'a', value: conversation('a') }, message('a', 1)];
  });
  saver.save();
  await saver.settled();
  const whole = await saver.read((storage) => storage.read('a'));
  assert.equal(failures.length, 1);
  assert.deepEqual(seqs(whole?.rows), [1]);
});
