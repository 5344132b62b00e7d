// What each frame of the server means to a device.

import type { Message, ServerFrames, Error as WireError } from '../generated/wire.ts';
import type { Device } from './device.ts';
import { type Deletion, stored } from './rows.ts';
import type { Change } from './window.ts';

/** A frame as it came; its `type` may be one that this version does not know. */
export type Received = { type: string; id?: number | string | null; data: Record<string, unknown> };

/** A reading of one type of frame; `reference` is that of the command it answers. */
type Readers = { [T in keyof ServerFrames]: (device: Device, data: ServerFrames[T], reference: number) => void };

const READERS: Partial<Readers> = {
  hello: (device, hello) => {
    device.connected = true;
    device.outbox.inFlightMax = Math.max(1, hello.max_in_flight);
    device.desk.notify({ type: 'connected' });
    device.catchUp();
  },
  message_sent: (device, sent, reference) => {
    const done = device.outbox.done(reference);
    if (done?.kind === 'command' && done.command.type === 'send_message') {
      const clientId = done.command.data.client_id ?? '';
      device.desk.notify({ type: 'sent', conversation: done.conversation, clientId, seq: sent.seq });
      device.desk.changed(done.conversation);
    }
    message(device, { ...sent.message, history: sent.history }, true);
  },
  ok: (device, ok, reference) => {
    const done = device.outbox.done(reference);
    if (ok.message) {
      message(device, ok.message, false);
    }
    if (done?.kind === 'command' && done.command.type === 'delete_message') {
      const { rev, history, deleted_at, deleted_by } = ok;
      if (rev != null && history != null && deleted_at != null && deleted_by != null) {
        const { seq } = done.command.data;
        deleted(device, done.conversation, history, { seq, rev, deleted_at, deleted_by });
      }
    } else if (done?.kind === 'mark' && done.mark === 'read') {
      const held = device.conversation(done.conversation);
      held.readUpTo(done.seq);
      held.members.mark(device.me, { read_seq: done.seq });
      device.desk.changed(done.conversation);
    }
  },
  new_message: (device, data) => message(device, data, true),
  message_updated: (device, data) => message(device, data, false),
  message_deleted: (device, data) => deleted(device, data.conversation_id, data.history, data),
  conversation_updated: (device, info) => {
    shared(device, info.conversation_id, info.history, info.rev, { kind: 'other' });
    const held = device.conversation(info.conversation_id);
    if (held.history === info.history) {
      held.learnInfo(info, device.desk);
    }
  },
  member_updated: (device, { conversation_id, history, rev, member }) => {
    shared(device, conversation_id, history, rev, { kind: 'other' });
    const held = device.conversation(conversation_id);
    if (held.history === history) {
      if (held.window) {
        held.members.learn(member);
      }
      if (member.user_id === device.me) {
        held.ownMember(member, device.desk);
      }
    }
  },
  receipt: (device, receipt) => {
    const held = device.conversation(receipt.conversation_id);
    if (held.history !== undefined && held.history !== receipt.history) {
      // Marks never ask for anything; the next shared event or listing drops the history.
      return;
    }
    held.members.mark(receipt.user_id, receipt);
    if (receipt.user_id === device.me) {
      held.readUpTo(receipt.read_seq ?? 0);
    }
    device.desk.changed(receipt.conversation_id);
  },
  inbox_updated: (device, updated) => {
    if (device.conversation(updated.conversation_id).inboxUpdated(updated, device.desk)) {
      device.listing.due = true;
    }
  },
  sync_required: (device) => device.catchUp(),
  heartbeat: (device, { user_rev }) => {
    device.listing.due ||= user_rev > device.listing.userRev;
  },
  error: (device, error, reference) => refused(device, reference, error),
};

export function readFrame(device: Device, received: Received): void {
  const { type, data } = received;
  const reference = typeof received.id === 'number' ? received.id : Number.NaN;
  // The server's word: its frames have the data that the generated types say.
  const read = (READERS as Record<string, ((device: Device, data: unknown, reference: number) => void) | undefined>)[
    type
  ];
  if (read) {
    read(device, data, reference);
    return;
  }
  const { conversation_id: id, history, rev } = data;
  if (typeof id === 'string' && typeof history === 'string' && typeof rev === 'number') {
    // An event of a later server: its effect is found by its rev.
    shared(device, id, history, rev, { kind: 'unknown' });
  }
  device.desk.notify({ type: 'frame', frame: { type, data } });
}

/** A shared event of a conversation. */
function shared(device: Device, id: string, history: string, rev: number, change: Change): void {
  const held = device.conversation(id);
  const known = held.line !== undefined || held.fresh;
  held.event(history, rev, change, device.desk);
  // The list does not name it yet: once is enough, `inbox_updated` follows.
  device.listing.due ||= !known;
}

/** A message as it is now, new or changed. */
function message(device: Device, data: Message, isNew: boolean): void {
  const { conversation_id: id, history, sender_id: sender, seq, client_id, mark_rev } = data;
  const mine = sender === device.me;
  if (history == null) {
    return;
  }
  if (mine && client_id != null) {
    device.ownSeen(id, client_id, seq);
  }
  const row = stored(data);
  shared(device, id, history, row.rev, { kind: 'row', row });
  const held = device.conversation(id);
  if (held.history !== history) {
    return;
  }
  if (isNew) {
    held.line?.count(row, device.me);
  }
  held.line?.learn(row);
  if (isNew && row.type !== 'system') {
    // A send moves its sender's own marks; in large groups only one's own are known.
    if (mine || !held.info?.large) {
      held.members.mark(sender, { read_seq: seq, delivered_seq: seq, mark_rev: mark_rev ?? 0 });
    }
    if (mine) {
      held.readUpTo(seq);
    } else if (device.options.autoDelivered) {
      device.outbox.mark(id, 'delivered', seq);
    }
  }
}

function deleted(device: Device, id: string, history: string, deletion: Deletion): void {
  shared(device, id, history, deletion.rev, { kind: 'deleted', deleted: deletion });
  const held = device.conversation(id);
  if (held.history === history) {
    held.line?.deleted(deletion);
  }
}

function refused(device: Device, reference: number, error: WireError): void {
  if (error.code === 'unauthorized') {
    device.desk.notify({ type: 'signed_out' });
  }
  const what = device.outbox.refused(reference, error, device.desk);
  if (what?.kind === 'send') {
    const { conversation, clientId } = what;
    device.desk.notify({ type: 'send_failed', conversation, clientId, error });
    device.desk.changed(conversation);
  } else if (what?.kind === 'other') {
    device.desk.notify({ type: 'refused', conversation: what.conversation, error });
  }
}
