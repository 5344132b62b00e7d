// One conversation of a device: its line of numbers, the highest rev heard of, what is loaded, and the
// requests that keep it right. Frames and answers come in; what is due is asked by `react`.
//
// Its messages are in one of three places: nowhere (`window` and `asleep` are undefined), in storage
// only (`asleep`), or in memory (`window`).

import type {
  Changes,
  Entry,
  Conversation as Info,
  Member,
  Members as MembersAnswer,
  MessagePage,
  ServerFrames,
  Error as WireError,
} from '../generated/wire.ts';
import type { Anchor, Desk, Request } from './desk.ts';
import { Line, type StoredLine } from './line.ts';
import { Members, type StoredMembers } from './members.ts';
import type { Options } from './options.ts';
import { type Row, readPage, stored } from './rows.ts';
import { type Change, Window, type WindowMeta } from './window.ts';

export type { Info };

/** What is stored of a conversation besides its messages and members. */
export type StoredConversation = {
  id: string;
  history: string | undefined;
  heard: number;
  info: Info | undefined;
  line: StoredLine | undefined;
  window: WindowMeta | undefined;
};

/** Everything stored of one conversation, as of one moment. */
export type StoredWhole = {
  conversation: StoredConversation;
  members: StoredMembers | undefined;
  rows: Row[];
};

/** A page that somebody wants to see. */
export type Want = 'newest' | 'before' | 'after' | { around: number };

/** Refusals that mean: it is not there for this user. */
const LOST: ReadonlySet<string> = new Set(['not_found', 'not_member', 'forbidden']);

export class Conversation {
  readonly id: string;
  /** The line that every number here belongs to; none before the first was heard of. */
  history: string | undefined;
  /** The highest rev heard of, loaded or not. */
  heard = 0;
  window: Window | undefined;
  /** What storage has, while it is not in memory. */
  asleep: WindowMeta | undefined;
  members = new Members();
  info: Info | undefined;
  /** One's line of the chat list; none while the list does not name it. */
  line: Line | undefined;
  /** The user looks at it: it is loaded when it appears, or appears again. */
  open = false;
  /** Heard of since the listing under way was asked for. */
  fresh = false;
  /** What storage has of its messages and members is to be removed. */
  erase = false;
  /** The page wanted, also while it is under way. */
  #want: Want | undefined;
  #page: { id: number; anchor: Anchor; heard: number } | undefined;
  #changes: { id: number; since: number; heard: number } | undefined;
  #waking: number | undefined;
  #membersDue: { cursor: string | undefined } | undefined;
  #membersAsked: number | undefined;
  /** Something may have been missed that no rev tells of: marks, and what a former member is not told. */
  #due = false;
  /** The server cannot bring one nearer to this rev; asked again when more is heard. */
  #stalled: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  static restore(stored: StoredConversation): Conversation {
    const held = new Conversation(stored.id);
    held.history = stored.history;
    held.heard = stored.heard;
    held.info = stored.info;
    held.line = stored.line && new Line(stored.line);
    held.asleep = stored.window;
    return held;
  }

  stored(): StoredConversation {
    const { id, history, heard, info, line } = this;
    const window = this.window ? this.window.meta() : this.asleep;
    return { id, history, heard, info, line: line && { ...line.state }, window };
  }

  /** Whether everything heard of is held, and nothing is on its way. */
  get level(): boolean {
    const { window, asleep } = this;
    const behind = window
      ? window.rev < this.heard || window.midway || window.held !== undefined
      : asleep !== undefined && (asleep.rev < this.heard || asleep.midway);
    return (!behind || this.#stalled === this.heard) && this.idle;
  }

  /** Whether nothing is wanted or under way. */
  get idle(): boolean {
    const wanted = this.#want ?? this.#page ?? this.#membersDue;
    return (wanted ?? this.#changes ?? this.#waking ?? this.#membersAsked) === undefined;
  }

  /** Whether it should be read from storage now. */
  get drowsy(): boolean {
    const { asleep } = this;
    const behind = asleep && (asleep.rev < this.heard || asleep.midway || this.#due);
    return (
      asleep !== undefined &&
      this.#waking === undefined &&
      (this.open || (behind === true && this.#stalled !== this.heard))
    );
  }

  get waking(): boolean {
    return this.#waking !== undefined;
  }

  /** A page is wanted. One at a time: false while another is on its way, or there is none. */
  want(want: Want): boolean {
    const { window } = this;
    const free = this.#want === undefined && window?.held === undefined;
    let due = !window && !this.asleep;
    if (window) {
      const { view, last, tail, firstSeq } = window;
      due =
        (want === 'before' && view.lo > firstSeq) ||
        (want === 'after' && (view !== last || !tail)) ||
        (want === 'newest' && !tail) ||
        typeof want === 'object';
    } else if (want === 'before' || want === 'after') {
      due = false;
    } else if (typeof want === 'object') {
      due = true;
    }
    if (free && due) {
      this.#want = want;
    }
    return free && due;
  }

  /** The user looks at it, or at one place of it. */
  look(at: number | undefined, options: Options): void {
    const { window } = this;
    // While nobody looked, marks were not asked for; and who left is told no changes.
    const missed = (options.marks && !this.open) || this.line?.state.membership.left_seq != null;
    this.#due ||= missed && (window ?? this.asleep) !== undefined;
    this.open = true;
    if (window) {
      window.focus = at;
      if (at === undefined || window.find(at)) {
        this.want('newest');
        return;
      }
    }
    this.#want = undefined;
    this.want(at === undefined ? 'newest' : { around: at });
  }

  /** Forgets the messages, stored ones too; what was heard of stays. */
  close(desk: Desk): void {
    this.#cancel(desk);
    this.erase ||= this.window !== undefined || this.asleep !== undefined;
    this.window = undefined;
    this.asleep = undefined;
    this.members = new Members();
    this.#want = undefined;
  }

  /** Its messages leave memory; storage has them. */
  sleep(): void {
    this.asleep = this.window?.meta();
    this.window = undefined;
    this.members = new Members();
    this.#due = false;
  }

  /** Another history: drop it, cancel its requests, load again what was loaded. */
  #dropHistory(history: string | undefined, rev: number, desk: Desk): void {
    // What the line shows of it is gone as well, and the list may have told it already.
    const shown = this.open || this.line !== undefined;
    const again = shown || this.#want !== undefined || this.#page !== undefined;
    this.close(desk);
    this.history = history;
    this.heard = rev;
    this.info = undefined;
    this.#stalled = undefined;
    this.line?.dropHistory();
    if (again) {
      this.#want = 'newest';
    }
    desk.dropped(this.id);
    desk.changed(this.id);
  }

  #cancel(desk: Desk): void {
    desk.cancel(this.#changes?.id);
    desk.cancel(this.#page?.id);
    desk.cancel(this.#membersAsked);
    desk.cancel(this.#waking);
    this.#changes = undefined;
    this.#page = undefined;
    this.#membersAsked = undefined;
    this.#waking = undefined;
    this.#membersDue = undefined;
    this.#due = false;
  }

  /** A shared event: applied when it is the next, remembered in any case. */
  event(history: string, rev: number, change: Change, desk: Desk): void {
    this.fresh = true;
    desk.changed(this.id);
    if (!this.#sameLine(history)) {
      this.#dropHistory(history, rev, desk);
      return;
    }
    this.history = history;
    this.window?.event(rev, change);
    this.#appeared();
    this.heard = Math.max(this.heard, rev);
  }

  /** One's own view moved on. True when the chat list must be asked for more. */
  inboxUpdated(frame: ServerFrames['inbox_updated'], desk: Desk): boolean {
    this.fresh = true;
    desk.changed(this.id);
    if (!this.#sameLine(frame.history)) {
      this.#dropHistory(frame.history, frame.rev, desk);
      this.line?.inboxUpdated(frame);
      return true;
    }
    // Without its messages, the line's newest message is only known from events and the list.
    const missed = !this.window && frame.rev > this.heard;
    this.heard = Math.max(this.heard, frame.rev);
    this.history = frame.history;
    this.#appeared();
    this.line?.inboxUpdated(frame);
    return missed || !this.line;
  }

  /** An entry of the chat list, read when one's own view was at `userRev`. */
  entry(entry: Entry, userRev: number, me: number, desk: Desk): void {
    const { history, rev } = entry.conversation;
    if (this.#sameLine(history)) {
      this.history = history;
      this.heard = Math.max(this.heard, rev);
    } else {
      this.#dropHistory(history, rev, desk);
      // The entry has what the line shows.
      this.#want = this.open ? 'newest' : undefined;
    }
    const { read_seq, delivered_seq } = entry.membership;
    this.members.mark(me, { read_seq, delivered_seq });
    const last = entry.last_message ? stored(entry.last_message) : undefined;
    const joined = this.line?.state.membership.joined_seq;
    this.line = Line.entry(this.line, entry, last, userRev);
    this.learnInfo(entry.conversation, desk);
    this.#rejoined(joined, entry.membership.joined_seq, desk);
    this.#appeared();
    desk.changed(this.id);
  }

  /** One that is looked at is loaded when it is heard of. */
  #appeared(): void {
    if (this.open && !this.window) {
      this.want('newest');
    }
  }

  /** The conversation row, in any order: the higher rev wins. */
  learnInfo(info: Info, desk: Desk): void {
    if (!this.info || this.info.history !== info.history || this.info.rev <= info.rev) {
      this.info = info;
      this.#retain(info.retained_from ?? 0, desk);
    }
  }

  /** Messages below a seq were removed: who holds some of them forgets all and loads again. */
  #retain(from: number, desk: Desk): void {
    const intervals = this.window?.intervals ?? this.asleep?.intervals ?? [];
    if (intervals.some(({ lo, hi }) => lo < from && lo <= hi)) {
      const again = this.open || this.#want !== undefined || this.#page !== undefined;
      this.close(desk);
      this.#want = again ? 'newest' : undefined;
      desk.changed(this.id);
    }
    this.line?.retain(from);
  }

  /** One's own read mark moved. */
  readUpTo(seq: number): void {
    this.line?.readUpTo(seq, this.newestSeq);
  }

  /** Seq of the newest message heard of. */
  get newestSeq(): number {
    const { window } = this;
    const held = window?.tail ? window.last.hi : 0;
    return Math.max(this.line?.state.lastMessage?.seq ?? 0, held);
  }

  /** The first page begins what is held; a later one joins it. */
  #paged(answer: MessagePage, anchor: Anchor, desk: Desk, options: Options): void {
    this.#want = undefined;
    if (!this.#sameLine(answer.history)) {
      this.#want = 'newest';
      this.#dropHistory(undefined, 0, desk);
      return;
    }
    const page = readPage(answer, anchor);
    if (page.lo < (this.info?.retained_from ?? 0)) {
      // Some of it was removed while it was on its way.
      this.#want = 'newest';
      return;
    }
    const last = page.rows.get(page.hi);
    if (page.tail && last) {
      this.line?.learn(last);
    }
    desk.changed(this.id);
    if (this.window) {
      this.window.page(page);
    } else if (this.asleep || 'before' in anchor || 'after' in anchor) {
      // What it was to join is not there.
      this.#want = 'newest';
    } else {
      this.window = Window.begin(page, this.heard);
      this.history = answer.history;
      this.heard = Math.max(this.heard, answer.rev);
      this.#wantMembers(options);
    }
  }

  #wantMembers(options: Options): void {
    if (options.members && this.open && !this.members.complete && !this.info?.large) {
      this.#membersDue ??= { cursor: undefined };
    }
  }

  #changed(asked: { since: number; heard: number }, answer: Changes, me: number, desk: Desk): void {
    if (answer.reset) {
      this.#dropHistory(undefined, 0, desk);
      return;
    }
    const { window } = this;
    if (!window || this.history !== answer.history) {
      return;
    }
    if (!answer.more && answer.rev <= asked.since && answer.rev < asked.heard) {
      // It was asked after that rev was heard of, and says that there is nothing up to it.
      this.#stalled = this.heard;
      window.shownFrom = undefined;
    }
    for (const member of answer.members) {
      this.members.learn(member);
    }
    for (const receipt of answer.receipts) {
      this.members.mark(receipt.user_id, receipt);
    }
    window.changes(asked.since, answer);
    for (const message of answer.messages) {
      this.line?.learn(window.row(message.seq) ?? stored(message));
    }
    this.heard = Math.max(this.heard, answer.rev);
    if (answer.conversation) {
      this.learnInfo(answer.conversation, desk);
    }
    const own = this.members.readSeq(me);
    if (own > 0) {
      this.readUpTo(own);
    }
    const row = this.members.row(me);
    if (row) {
      this.ownMember(row, desk);
    }
    desk.changed(this.id);
  }

  /** One's own membership is so now. */
  ownMember(row: Member, desk: Desk): void {
    const joined = this.line?.state.membership.joined_seq;
    this.line?.ownMember(row);
    if (row.left_seq == null) {
      this.#rejoined(joined, row.joined_seq, desk);
    }
  }

  /** Who comes back may read other messages than before: what is held is loaded again. */
  #rejoined(before: number | undefined, now: number, desk: Desk): void {
    if (before !== undefined && now > before && (this.window || this.asleep)) {
      this.close(desk);
      if (this.open) {
        this.#want = 'newest';
      }
    }
  }

  /** Takes the answer to one of its questions to the server. */
  answer(id: number, request: Request, answer: unknown, me: number, desk: Desk, options: Options): void {
    if (request.kind === 'page' && this.#page?.id === id) {
      this.#page = undefined;
      this.#paged(answer as MessagePage, request.anchor, desk, options);
    } else if (request.kind === 'changes' && this.#changes?.id === id) {
      const asked = this.#changes;
      this.#changes = undefined;
      this.#changed(asked, answer as Changes, me, desk);
    } else if (request.kind === 'members' && this.#membersAsked === id) {
      const { members, next_cursor } = answer as MembersAnswer;
      this.#membersAsked = undefined;
      for (const member of members) {
        this.members.learn(member);
      }
      this.members.complete = next_cursor == null;
      this.members.dirty = true;
      this.#membersDue = next_cursor == null ? undefined : { cursor: next_cursor };
      desk.changed(this.id);
    }
  }

  /** What storage has. Nothing, or nothing usable: load it from the server. */
  woken(whole: StoredWhole | undefined, desk: Desk, options: Options): void {
    this.#waking = undefined;
    const meta = whole?.conversation.window;
    const same = whole !== undefined && whole.conversation.history === this.history;
    this.window = same && meta ? Window.restore(meta, whole.rows) : undefined;
    this.asleep = undefined;
    if (this.window) {
      const heard = this.members.stored();
      this.members = whole?.members ? Members.restore(whole.members) : new Members();
      // Marks that were heard of while it slept.
      for (const [user, marks] of heard.marks) {
        this.members.mark(user, { read_seq: marks.readSeq, delivered_seq: marks.deliveredSeq });
      }
      this.#wantMembers(options);
      if (this.open) {
        const want = this.#want;
        this.#want = undefined;
        if (typeof want === 'object') {
          this.look(want.around, options);
        } else {
          this.want(want ?? 'newest');
        }
      }
    } else {
      this.erase = true;
      if (this.open) {
        this.#want ??= 'newest';
      }
    }
    desk.changed(this.id);
  }

  /** A question has no answer. True when the conversation is not there for this user. */
  failed(request: Request, error: WireError | undefined, desk: Desk): boolean {
    const heard = (request.kind === 'changes' ? this.#changes : this.#page)?.heard ?? 0;
    if (request.kind === 'changes') {
      this.#changes = undefined;
      // It may have been asked for what no rev tells of.
      this.#due ||= !error;
    } else if (request.kind === 'page') {
      this.#page = undefined;
    } else if (request.kind === 'members') {
      this.#membersAsked = undefined;
      if (!error) {
        this.#membersDue = { cursor: undefined };
      }
    }
    const lost = error !== undefined && LOST.has(error.code);
    if (!error || (lost && request.kind !== 'members' && this.heard > heard)) {
      // Refused before what was heard since: it may be there (again).
      return false;
    }
    desk.notify({ type: 'refused', conversation: this.id, error });
    if (request.kind === 'members') {
      return false;
    }
    // Not asked again before something new is heard.
    this.#want = undefined;
    this.#stalled = this.heard;
    return lost;
  }

  /** After a reconnect, or when events were dropped: marks of others are asked for where they are
   * looked at, and what the server could not tell before is asked again. */
  catchUp(options: Options): void {
    this.#due ||= options.marks && this.open && (this.window ?? this.asleep) !== undefined;
    this.#stalled = undefined;
  }

  /** Reads it from storage. */
  wake(desk: Desk): void {
    this.#waking = desk.ask({ kind: 'wake', conversation: this.id });
  }

  /** Asks the server what is due now. */
  react(desk: Desk, options: Options): void {
    const { id, window } = this;
    if (window && !this.#changes) {
      const behind = window.held !== undefined || window.midway || window.rev < this.heard;
      if ((behind && this.#stalled !== this.heard) || this.#due) {
        this.#due = false;
        const { since, markRev } = window;
        const limit = options.changesLimit;
        const asked = desk.ask({
          kind: 'changes',
          conversation: id,
          sinceRev: since,
          sinceMark: markRev,
          history: this.history,
          limit,
        });
        this.#changes = { id: asked, since, heard: this.heard };
      }
    }
    if (window && this.open && window.focus === undefined && !window.tail) {
      this.want('newest');
    }
    if (this.#want !== undefined && !this.#page && !this.asleep) {
      const anchor = this.#anchor(this.#want);
      const asked = desk.ask({ kind: 'page', conversation: id, anchor, limit: options.pageLimit });
      this.#page = { id: asked, anchor, heard: this.heard };
    }
    if (this.#membersDue && this.#membersAsked === undefined) {
      const { cursor } = this.#membersDue;
      this.#membersDue = undefined;
      this.#membersAsked = desk.ask({ kind: 'members', conversation: id, cursor });
    }
  }

  /** Where a wanted page lies; next to what is looked at, or the newest when nothing is. */
  #anchor(want: Want): Anchor {
    const view = this.window?.view;
    if (typeof want === 'object') {
      return { around: want.around };
    }
    if (view && want === 'before') {
      return { before: view.lo };
    }
    if (view && want === 'after') {
      return { after: view.hi };
    }
    this.#want = 'newest';
    return { newest: true };
  }

  #sameLine(history: string): boolean {
    return this.history === undefined || this.history === history;
  }
}
