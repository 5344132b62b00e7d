// A client beside the real server: what a person notices of storage, sign-out and lost sessions.

import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type ClientEvent, IndexedDbStorage, MemoryStorage, register, type SignedIn } from '../../src/index.ts';
import { Chance } from '../support/chance.ts';
import { CALM, Network } from '../support/faults.ts';
import { Server } from '../support/server.ts';

let server: Server;
let people = 0;
let ids = 0;

before(async () => {
  server = await Server.start();
});

after(() => server.remove());

function network(): Network {
  return new Network(
    CALM,
    new Chance(people),
    () => `00000000-0000-4000-9000-${(ids++).toString(16).padStart(12, '0')}`,
  );
}

function person(): Promise<SignedIn> {
  return register(server.url, { username: `person-${people++}`, password: 'correct horse' });
}

function open(who: SignedIn, more: Partial<Parameters<typeof Client.open>[0]> = {}): Promise<Client> {
  const { url } = server;
  return Client.open({ url, token: who.token, userId: who.user.user_id, platform: network().platform, ...more });
}

/** Through when such an event came. */
function heard(client: Client, type: ClientEvent['type']): Promise<ClientEvent> {
  return new Promise((done) => {
    const stop = client.on((event) => {
      if (event.type === type) {
        stop();
        done(event);
      }
    });
  });
}

test('what was said comes to the other, and keeps its place and its client id', async () => {
  const [alice, bob] = [await person(), await person()];
  const [mine, theirs] = [await open(alice), await open(bob)];
  const { conversation, clientId } = mine.sendTo(bob.user.user_id, 'hello');
  mine.send(conversation, 'are you there?');
  const before = mine.snapshot(conversation)?.pending.map((pending) => pending.message.content);
  assert.deepEqual(before, ['hello', 'are you there?']);
  await mine.settled();
  mine.open(conversation);
  await mine.settled();
  const shown = mine.snapshot(conversation);
  assert.deepEqual(shown?.pending, []);
  assert.deepEqual(
    shown?.messages.map(({ content }) => content),
    ['hello', 'are you there?'],
  );
  assert.equal(shown?.messages[0]?.client_id, clientId);

  theirs.open(conversation);
  while (theirs.snapshot(conversation)?.messages.length !== 2) {
    await heard(theirs, 'changed');
  }
  // The list and its numbers come on their own.
  while (theirs.chatList()[0]?.unread !== 2) {
    await heard(theirs, 'changed');
  }
  theirs.markRead(conversation, 2);
  while (theirs.chatList()[0]?.unread !== 0) {
    await heard(theirs, 'changed');
  }
  await Promise.all([mine.stop(), theirs.stop()]);
});

test('without a network the stored copy is there at once, and what is said waits', async () => {
  const [alice, bob] = [await person(), await person()];
  const storage = () => new IndexedDbStorage(`${server.url}/${alice.user.user_id}`);
  const first = await open(alice, { storage: storage() });
  const { conversation } = first.sendTo(bob.user.user_id, 'kept');
  first.open(conversation);
  await first.settled();
  await first.stop();

  const away = network();
  away.offline = true;
  const second = await open(alice, { storage: storage(), platform: away.platform });
  assert.equal(second.chatList()[0]?.info.conversation_id, conversation);
  second.open(conversation);
  while (!second.snapshot(conversation)?.loaded) {
    await heard(second, 'changed');
  }
  assert.equal(second.snapshot(conversation)?.messages[0]?.content, 'kept');
  second.send(conversation, 'said away');
  await second.stop();

  const third = await open(alice, { storage: storage() });
  assert.equal(third.snapshot(conversation)?.pending[0]?.message.content, 'said away');
  third.open(conversation);
  await third.settled();
  assert.equal(third.snapshot(conversation)?.messages[1]?.content, 'said away');
  await third.stop();
});

test('signing out ends the session and erases what is stored, of this account only', async () => {
  const [alice, bob] = [await person(), await person()];
  const [hers, his] = [alice, bob].map((who) => new IndexedDbStorage(`${server.url}/${who.user.user_id}`));
  assert.ok(hers && his);
  const [first, second] = [await open(alice, { storage: hers }), await open(bob, { storage: his })];
  const { conversation } = first.sendTo(bob.user.user_id, 'secret');
  first.open(conversation);
  second.open(conversation);
  await first.settled();
  while (second.snapshot(conversation)?.messages.length !== 1) {
    await heard(second, 'changed');
  }
  await second.stop();
  await first.signOut();
  assert.deepEqual(await hers.load(), { meta: undefined, conversations: [], queues: [] });
  assert.equal((await his.load()).conversations.length, 1);

  const again = await open(alice);
  assert.equal((await heard(again, 'signed_out')).type, 'signed_out');
  await again.stop();
});

test("another account's storage is not read", async () => {
  const [alice, bob] = [await person(), await person()];
  const shared = new MemoryStorage();
  const first = await open(alice, { storage: shared });
  first.sendTo(alice.user.user_id, 'a note to oneself');
  await first.settled();
  await first.stop();
  const second = await open(bob, { storage: shared });
  assert.deepEqual(second.chatList(), []);
  await second.settled();
  assert.deepEqual((await shared.load()).conversations, []);
  await second.stop();
});

test('a session that is revoked says so, once, and connects no more', async () => {
  const alice = await person();
  const client = await open(alice);
  await client.settled();
  const told = heard(client, 'signed_out');
  await client.api.call('DELETE /api/v1/auth/sessions/{session_id}', { path: { session_id: alice.session_id } });
  await told;
  assert.equal(client.connected, false);
  await client.stop();
});

test('a storage that fails is said, and nothing else is noticed', async () => {
  const [alice, bob] = [await person(), await person()];
  const broken = new MemoryStorage();
  broken.write = () => Promise.reject(new Error('full'));
  const client = await open(alice, { storage: broken });
  const failed = heard(client, 'storage_failed');
  const { conversation } = client.sendTo(bob.user.user_id, 'hello');
  await failed;
  client.open(conversation);
  await client.settled();
  assert.equal(client.snapshot(conversation)?.messages[0]?.content, 'hello');
  await client.stop();
});
