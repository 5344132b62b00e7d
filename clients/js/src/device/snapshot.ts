// What a user interface is shown: pictures of a device that never change afterwards.

import type { Inbox, Conversation as Info, Member, Membership, Error as WireError } from '../generated/wire.ts';
import type { Conversation } from './conversation.ts';
import type { Marks } from './members.ts';
import type { Item, Outgoing } from './outbox.ts';
import type { Row } from './rows.ts';

/** A message that is not yet durable. */
export type Pending = {
  /** The id given when it was sent; the message that replaces it carries the same. */
  clientId: string;
  message: (Outgoing & { type: 'send_message' })['data'];
  /** When it was said, Unix milliseconds, by this device's clock. */
  at: number;
  /** waiting: to be sent. under_way: for the answer. failed: for the user, it was refused for good. */
  state: 'waiting' | 'under_way' | 'failed';
  error: WireError | undefined;
};

/** A conversation at one moment. */
export type Snapshot = {
  conversationId: string;
  /** The conversation itself, once the list named it. `rev`, `mark_rev` and `head_seq` are as of then. */
  info: Info | undefined;
  /** Whether messages are there to be shown. */
  loaded: boolean;
  /** Whether everything heard of is held. Not level, what is shown is right but not the newest. */
  level: boolean;
  /** The rev that the messages are at least the state of. */
  rev: number;
  /** Messages without a gap, by rising seq. */
  messages: readonly Row[];
  hasMoreBefore: boolean;
  hasMoreAfter: boolean;
  /** Members that have not left, by rising user id. */
  members: readonly Member[];
  /** Whether these are all of them. */
  membersComplete: boolean;
  /** How far each user has come. */
  marks: ReadonlyMap<number, Marks>;
  membership: Membership | undefined;
  inbox: Inbox | undefined;
  unread: number;
  /** What was said here and is not yet durable, in order. */
  pending: readonly Pending[];
};

/** One line of the chat list. */
export type ChatLine = {
  info: Info;
  membership: Membership;
  inbox: Inbox;
  /** The newest message known. */
  lastMessage: Row | undefined;
  unread: number;
  /** What else a later server says of it. */
  more: Readonly<Record<string, unknown>>;
};

export function pendingOf(items: readonly Item[]): Pending[] {
  const pending: Pending[] = [];
  for (const { command, at, error, reference } of items) {
    if (command.type === 'send_message') {
      const state = error ? 'failed' : reference === undefined ? 'waiting' : 'under_way';
      pending.push({ clientId: command.data.client_id ?? '', message: command.data, at, state, error });
    }
  }
  return pending;
}

export function snapshotOf(held: Conversation, pending: readonly Pending[]): Snapshot {
  const { window } = held;
  const line = held.line?.state;
  const view = window?.view;
  return {
    conversationId: held.id,
    info: held.info,
    loaded: window !== undefined && window.shownFrom === undefined,
    level: held.level,
    rev: window?.rev ?? 0,
    messages: window?.shown() ?? [],
    hasMoreBefore: window !== undefined && view !== undefined && view.lo > window.firstSeq,
    hasMoreAfter: window !== undefined && (view !== window.last || !window.tail),
    members: held.members.present(),
    membersComplete: held.members.complete,
    marks: held.members.marks(),
    membership: line?.membership,
    inbox: line?.inbox,
    unread: line?.unread ?? 0,
    pending,
  };
}

/** The chat list, latest activity first; equal times by conversation id. */
export function chatListOf(all: Iterable<Conversation>): ChatLine[] {
  const lines: ChatLine[] = [];
  for (const { line, info } of all) {
    if (line && info) {
      const { membership, inbox, lastMessage, unread, more } = line.state;
      lines.push({ info, membership, inbox, lastMessage, unread, more });
    }
  }
  return lines.sort((a, b) => activeAt(b) - activeAt(a) || (a.info.conversation_id < b.info.conversation_id ? -1 : 1));
}

/** When something was last said; the creation, when nothing was. */
export function activeAt(line: ChatLine): number {
  return line.lastMessage?.timestamp ?? line.info.created_at;
}
