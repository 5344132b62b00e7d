// What the server has, read afresh, and what a device has beside it.

import assert from 'node:assert/strict';
import type { Api, Client, Conversation, Entry, Member, Message, Row, Storage } from '../../src/index.ts';

const PAGE = 200;

/** Everything one user may see. */
export type Truth = {
  entries: Map<string, Entry>;
  messages: Map<string, Map<number, Row>>;
  members: Map<string, Member[]>;
};

export async function truthOf(api: Api): Promise<Truth> {
  const truth: Truth = { entries: new Map(), messages: new Map(), members: new Map() };
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const page = await api.call('GET /api/v1/conversations', { query });
    for (const entry of page.conversations) {
      truth.entries.set(entry.conversation.conversation_id, entry);
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  for (const conversation_id of truth.entries.keys()) {
    truth.messages.set(conversation_id, await messagesOf(api, conversation_id));
    truth.members.set(conversation_id, await membersOf(api, conversation_id));
  }
  return truth;
}

async function messagesOf(api: Api, conversation_id: string): Promise<Map<number, Row>> {
  const all = new Map<number, Row>();
  let after = 0;
  for (;;) {
    const query = { limit: PAGE, after };
    const page = await api.call('GET /api/v1/conversations/{conversation_id}/messages', {
      path: { conversation_id },
      query,
    });
    for (const message of page.messages) {
      all.set(message.seq, bare(message));
      after = message.seq;
    }
    if (!page.has_more_after) {
      return all;
    }
  }
}

async function membersOf(api: Api, conversation_id: string): Promise<Member[]> {
  const { members } = await api.call('GET /api/v1/conversations/{conversation_id}/members', {
    path: { conversation_id },
  });
  return members.filter((member) => member.left_seq == null).sort((a, b) => a.user_id - b.user_id);
}

/** Without the numbers that every message moves: they are as of when the row was told. */
function still(info: Conversation): unknown {
  const { rev: _, mark_rev: __, head_seq: ___, ...row } = info;
  return row;
}

function bare(message: Message): Row {
  const { history: _, mark_rev: __, ...row } = message;
  return row;
}

/** Fails with what differs. Everything the device shows, and everything it has stored. */
export async function compare(client: Client, storage: Storage, truth: Truth): Promise<void> {
  const lines = new Map(client.chatList().map((line) => [line.info.conversation_id, line]));
  assert.deepEqual([...lines.keys()].sort(), [...truth.entries.keys()].sort(), 'the list names other conversations');
  for (const [id, entry] of truth.entries) {
    const line = lines.get(id);
    if (entry.membership.left_seq != null) {
      // Who left is told nothing of what changes afterwards.
      assert.deepEqual(line?.membership, entry.membership, `former member of ${id}`);
      former(client, id, truth);
      continue;
    }
    const where = `conversation ${id}`;
    assert.deepEqual(line && still(line.info), still(entry.conversation), `${where}: itself`);
    assert.deepEqual(line?.membership, entry.membership, `${where}: membership`);
    assert.deepEqual(line?.inbox, entry.inbox, `${where}: inbox`);
    assert.equal(line?.unread, entry.unread, `${where}: unread`);
    assert.deepEqual(
      line?.lastMessage,
      entry.last_message ? bare(entry.last_message) : undefined,
      `${where}: last message`,
    );
    shown(client, id, truth);
    await kept(storage, id, truth);
  }
}

/** Nothing is newer or other than what was there when one left. */
function former(client: Client, id: string, truth: Truth): void {
  const rows = truth.messages.get(id);
  for (const row of client.snapshot(id)?.messages ?? []) {
    const now = rows?.get(row.seq);
    assert.equal(row.message_id, now?.message_id, `former member of ${id}: message ${row.seq}`);
    assert.ok(row.rev <= (now?.rev ?? 0), `former member of ${id}: rev of message ${row.seq}`);
  }
}

function shown(client: Client, id: string, truth: Truth): void {
  const snapshot = client.snapshot(id);
  const where = `conversation ${id} as shown`;
  assert.deepEqual(snapshot?.pending, [], `${where}: something was not sent`);
  const rows = truth.messages.get(id) as Map<number, Row>;
  let seq: number | undefined;
  for (const row of snapshot?.messages ?? []) {
    assert.equal(row.seq, seq === undefined ? row.seq : seq + 1, `${where}: order`);
    seq = row.seq;
    assert.deepEqual(row, rows.get(seq), `${where}: message ${seq}`);
  }
  if (snapshot?.loaded && !snapshot.hasMoreAfter) {
    assert.equal(seq ?? 0, Math.max(0, ...rows.keys()), `${where}: the newest message`);
  }
  if (snapshot?.membersComplete) {
    assert.deepEqual(snapshot.members.map(unmarked), truth.members.get(id)?.map(unmarked), `${where}: members`);
    for (const member of truth.members.get(id) ?? []) {
      const marks = snapshot.marks.get(member.user_id);
      const theirs = [member.read_seq ?? 0, member.delivered_seq ?? 0];
      assert.deepEqual([marks?.readSeq ?? 0, marks?.deliveredSeq ?? 0], theirs, `${where}: marks of ${member.user_id}`);
    }
  }
}

/** Marks are compared apart from the rows: a row keeps those it came with. */
function unmarked(member: Member): Member {
  const { read_seq: _, delivered_seq: __, mark_rev: ___, ...row } = member;
  return row;
}

async function kept(storage: Storage, id: string, truth: Truth): Promise<void> {
  const whole = await storage.read(id);
  const window = whole?.conversation.window;
  if (!whole || !window) {
    return;
  }
  const where = `conversation ${id} as stored`;
  const rows = truth.messages.get(id) as Map<number, Row>;
  const held = new Map(whole.rows.map((row) => [row.seq, row]));
  assert.equal(held.size, whole.rows.length, `${where}: a message twice`);
  assert.equal(window.midway, false, `${where}: midway`);
  for (const { lo, hi } of window.intervals) {
    for (let seq = Math.max(lo, window.firstSeq); seq <= hi; seq += 1) {
      assert.deepEqual(held.get(seq), rows.get(seq), `${where}: message ${seq}`);
    }
  }
  for (const seq of held.keys()) {
    assert.ok(
      window.intervals.some(({ lo, hi }) => seq >= lo && seq <= hi),
      `${where}: ${seq} lies outside`,
    );
  }
}
