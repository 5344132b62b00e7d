// A device that stays right: a state machine without I/O, clock or chance. Frames, answers and the
// user's wishes go in; requests, frames to send and notices come out, and what is to be stored.
//
// The rules are those of docs/protocol.md, "How a client stays right".

import type { Changes, MessagePage, Sync, Error as WireError } from '../generated/wire.ts';
import { type Stored, VERSION, type Write } from '../storage/storage.ts';
import { Conversation, type StoredWhole } from './conversation.ts';
import { Desk, type Output, type Request } from './desk.ts';
import { type Received, readFrame } from './frames.ts';
import { Listing } from './listing.ts';
import type { Options } from './options.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import { type ChatLine, chatListOf, pendingOf, type Snapshot, snapshotOf } from './snapshot.ts';

/** Conversations that are read from storage at once, for what was missed in them. */
const WAKING_MAX = 4;

/** One signed-in device of a user. After every call, do what `takeOutputs` says. */
export class Device {
  readonly me: number;
  readonly options: Options;
  readonly conversations = new Map<string, Conversation>();
  readonly listing = new Listing();
  readonly outbox: Outbox;
  readonly desk = new Desk();
  connected = false;
  /** Conversations that may have something to ask now. */
  readonly #touched = new Set<string>();
  /** Conversations whose record is to be stored. */
  readonly #dirty = new Set<string>();
  /** Conversations in memory, the one used last at the end. */
  readonly #awake = new Set<string>();
  /** What is to be stored of conversations that are not in memory any more. */
  #writes: Write[] = [];
  #listingDirty = true;

  constructor(me: number, options: Options) {
    this.me = me;
    this.options = options;
    this.outbox = new Outbox(options.sendWindow);
  }

  /** Goes on where it was stored. False when that was written by another version or for another user. */
  restore(stored: Stored): boolean {
    const { meta } = stored;
    if (!meta || meta.version !== VERSION || meta.userId !== this.me) {
      return false;
    }
    this.listing.restore(meta.listing);
    for (const conversation of stored.conversations) {
      this.conversations.set(conversation.id, Conversation.restore(conversation));
    }
    for (const queue of stored.queues) {
      this.outbox.restore(queue);
    }
    this.#listingDirty = false;
    return true;
  }

  /** What is to be done now, in order. */
  takeOutputs(): Output[] {
    return this.desk.take();
  }

  /** What changed since the last call, as one batch for `Storage.write`. */
  takeWrites(): Write[] {
    const writes = this.#writes;
    this.#writes = [];
    for (const id of this.#dirty) {
      const held = this.conversations.get(id);
      if (held) {
        this.#store(held, writes);
      } else {
        forget(id, writes);
      }
    }
    this.#dirty.clear();
    for (const id of this.outbox.dirty) {
      writes.push({ table: 'queues', id, value: this.outbox.stored(id) });
    }
    this.outbox.dirty.clear();
    if (this.#listingDirty) {
      const value = { version: VERSION, userId: this.me, listing: this.listing.stored() };
      writes.push({ table: 'meta', value });
      this.#listingDirty = false;
    }
    return writes;
  }

  #store(held: Conversation, writes: Write[]): void {
    const { id, window } = held;
    if (window && !held.open) {
      window.trim(this.options.cachedMessages);
    }
    if (held.erase || window?.fresh) {
      writes.push({ table: 'messages', id, seq: 'all', value: undefined });
      writes.push({ table: 'members', id, value: undefined });
      held.erase = false;
    }
    writes.push({ table: 'conversations', id, value: held.stored() });
    if (window) {
      for (const seq of window.dirty) {
        const value = window.row(seq);
        if (value || !window.fresh) {
          writes.push({ table: 'messages', id, seq, value });
        }
      }
      window.dirty.clear();
      window.fresh = false;
      if (held.members.dirty) {
        held.members.dirty = false;
        writes.push({ table: 'members', id, value: held.members.stored() });
      }
    }
  }

  /** Whether everything heard of is held, everything said is durable, and nothing is under way. */
  get level(): boolean {
    return (
      this.connected &&
      !this.listing.due &&
      this.desk.idle &&
      this.outbox.empty &&
      [...this.conversations.values()].every((held) => held.level)
    );
  }

  /** A frame came. `hello` is what makes it connected. */
  frame(received: Received): void {
    readFrame(this, received);
    this.react();
  }

  /** The connection is gone. */
  disconnected(): void {
    if (this.connected) {
      this.connected = false;
      this.desk.notify({ type: 'disconnected' });
    }
    this.outbox.disconnected();
    this.react();
  }

  /** The answer to a request came. */
  answer(id: number, answer: unknown): void {
    const request = this.desk.close(id);
    if (!request) {
      return;
    }
    if (request.kind === 'sync') {
      this.#listed(answer as Sync);
    } else {
      const { conversation } = request;
      this.#ownSeen(request, answer);
      this.touch(conversation);
      const held = this.conversations.get(conversation);
      if (request.kind === 'wake') {
        held?.woken(answer as StoredWhole | undefined, this.desk, this.options);
      } else {
        held?.answer(id, request, answer, this.me, this.desk, this.options);
      }
    }
    this.react();
  }

  /** A request has no answer: refused for good, or (without an error) lost. One that was lost is asked
   * again at once: wait before telling it. */
  failed(id: number, error: WireError | undefined): void {
    const request = this.desk.close(id);
    if (!request) {
      return;
    }
    if (error?.code === 'unauthorized') {
      this.desk.notify({ type: 'signed_out' });
    }
    if (request.kind === 'sync') {
      this.listing.failed(error !== undefined);
      this.#listingDirty = true;
    } else {
      this.touch(request.conversation);
      if (this.conversations.get(request.conversation)?.failed(request, error, this.desk)) {
        this.#remove(request.conversation);
      }
    }
    this.react();
  }

  /** The wait that a `hold` asked for is over. */
  release(conversation: string): void {
    this.outbox.release(conversation);
    this.react();
  }

  /** The user looks at a conversation: its newest messages, or those around a position. They are
   * loaded and kept up to date. */
  open(id: string, position?: number): void {
    this.conversation(id).look(position, this.options);
    this.react();
  }

  /** The user looks away. What is held stays right, and leaves memory when others need the place. */
  close(id: string): void {
    const held = this.conversations.get(id);
    if (held) {
      held.open = false;
      if (held.window) {
        held.window.focus = undefined;
      }
      this.touch(id);
      this.react();
    }
  }

  /** Loads a page before or after what is shown; false when there is none or one is on its way. */
  loadMore(id: string, where: 'before' | 'after'): boolean {
    const wanted = this.conversation(id).want(where);
    this.react();
    return wanted;
  }

  /** Says something. `clientId` of a send must be new, and is kept over every retry. */
  push(conversation: string, command: Outgoing, at: number): void {
    this.outbox.push(conversation, command, at);
    this.desk.changed(conversation);
    this.react();
  }

  /** Everything up to a message is read. */
  markRead(conversation: string, seq: number): void {
    this.outbox.mark(conversation, 'read', seq);
    this.react();
  }

  /** Tries a failed send again, under the same client id; false when there is none. */
  retry(conversation: string, clientId: string): boolean {
    const found = this.outbox.retry(conversation, clientId);
    this.desk.changed(conversation);
    this.react();
    return found;
  }

  /** Gives a failed send up; false when there is none. */
  discard(conversation: string, clientId: string): boolean {
    const found = this.outbox.discard(conversation, clientId);
    this.desk.changed(conversation);
    return found;
  }

  /** What is shown of a conversation; `undefined` for one that was never heard of. */
  snapshot(id: string): Snapshot | undefined {
    const pending = pendingOf(this.outbox.items(id));
    const held = this.conversations.get(id) ?? (pending.length > 0 ? new Conversation(id) : undefined);
    return held && snapshotOf(held, pending);
  }

  chatList(): ChatLine[] {
    return chatListOf(this.conversations.values());
  }

  /** Another, empty storage takes the place of the first: what is in memory is written anew, what is
   * not has to be loaded again. */
  storageLost(): void {
    this.#writes = [];
    this.#listingDirty = true;
    for (const [id, held] of this.conversations) {
      held.asleep = undefined;
      held.members.dirty = true;
      held.window?.rewrite();
      this.touch(id);
    }
    this.outbox.rewrite();
    this.react();
  }

  /** A conversation about which something was heard. */
  conversation(id: string): Conversation {
    this.touch(id);
    let held = this.conversations.get(id);
    if (!held) {
      held = new Conversation(id);
      this.conversations.set(id, held);
    }
    return held;
  }

  touch(id: string): void {
    this.#touched.add(id);
    this.#dirty.add(id);
  }

  /** A message of one's own is in the conversation: it is through, whoever says so. */
  ownSeen(conversation: string, clientId: string, seq: number): void {
    if (this.outbox.seen(conversation, clientId)) {
      this.desk.notify({ type: 'sent', conversation, clientId, seq });
    }
  }

  #ownSeen(request: Request & { conversation: string }, answer: unknown): void {
    if (request.kind === 'changes' || request.kind === 'page') {
      for (const message of (answer as Changes | MessagePage).messages) {
        if (message.sender_id === this.me && message.client_id != null) {
          this.ownSeen(request.conversation, message.client_id, message.seq);
        }
      }
    }
  }

  /** Events may have been missed. */
  catchUp(): void {
    this.listing.due = true;
    for (const [id, held] of this.conversations) {
      held.catchUp(this.options);
      this.#touched.add(id);
    }
  }

  /** An answer of `/sync`. */
  #listed(answer: Sync): void {
    const next = this.listing.answer(answer);
    this.#listingDirty = true;
    for (const id of answer.removed) {
      this.#remove(id);
    }
    for (const entry of answer.conversations) {
      const id = entry.conversation.conversation_id;
      const { last_message: last, membership } = entry;
      const theirs = last && last.sender_id !== this.me && last.seq > membership.delivered_seq;
      if (this.options.autoDelivered && theirs && membership.left_seq == null) {
        this.outbox.mark(id, 'delivered', last.seq);
      }
      this.conversation(id).entry(entry, answer.user_rev, this.me, this.desk);
    }
    if (typeof next === 'object') {
      for (const [id, held] of [...this.conversations]) {
        if (next.only.has(id)) {
          continue;
        }
        // What was heard of meanwhile may be younger than the listing.
        if (held.fresh) {
          this.listing.due = true;
        } else {
          this.#remove(id);
        }
      }
    }
    if (next !== 'more') {
      this.desk.notify({ type: 'synced' });
    }
  }

  /** A conversation is gone. One that is looked at stays as an empty place: it may come (back). */
  #remove(id: string): void {
    this.outbox.forgetMarks(id);
    const held = this.conversations.get(id);
    if (!held) {
      return;
    }
    held.close(this.desk);
    this.conversations.delete(id);
    this.#awake.delete(id);
    this.#dirty.add(id);
    forget(id, this.#writes);
    if (held.open) {
      this.conversation(id).open = true;
    }
    this.desk.notify({ type: 'removed', conversation: id });
  }

  /** Asks and sends what is due now. */
  react(): void {
    const { desk, options } = this;
    for (const id of desk.takeDropped()) {
      this.outbox.forgetMarks(id);
    }
    if (this.connected) {
      if (this.listing.react(desk, options.syncLimit)) {
        for (const held of this.conversations.values()) {
          held.fresh = false;
        }
      }
      this.outbox.pump(desk);
    }
    let waking = 0;
    for (const held of this.conversations.values()) {
      waking += held.waking ? 1 : 0;
    }
    for (const id of [...this.#touched]) {
      const held = this.conversations.get(id);
      if (held?.drowsy) {
        if (!held.open && (waking >= WAKING_MAX || !this.connected)) {
          // Its turn comes when another one is awake, or when the server can be asked.
          continue;
        }
        waking += 1;
        held.wake(desk);
      }
      this.#touched.delete(id);
      held?.react(desk, options);
      this.#awake.delete(id);
      if (held?.window) {
        this.#awake.add(id);
      }
    }
    this.#sleep();
  }

  /** Lets the conversations that were used longest ago leave memory. */
  #sleep(): void {
    let over = this.#awake.size - this.options.awake;
    for (const id of this.#awake) {
      if (over <= 0) {
        break;
      }
      const held = this.conversations.get(id);
      if (held && !held.open && held.level) {
        this.#dirty.delete(id);
        this.#store(held, this.#writes);
        held.sleep();
        this.#awake.delete(id);
      }
      over -= 1;
    }
  }
}

function forget(id: string, writes: Write[]): void {
  writes.push({ table: 'conversations', id, value: undefined });
  writes.push({ table: 'members', id, value: undefined });
  writes.push({ table: 'messages', id, seq: 'all', value: undefined });
}
