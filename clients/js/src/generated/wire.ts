// Made by `cargo xtask generate` from the types of crates/proto; never edited.

/** `POST /api/v1/conversations/{id}/members`. */
export type AddMembers = {
  /** Whom to add, at most 1,000; who is a member already stays as is. */
  user_ids: UserRef[];
};

/** `POST /api/v1/admin/shards`: a new shard. */
export type AddShard = {
  /** `embedded`: in the data directory. `postgres://user:password@host:port/database?schema=name`: there; without a schema it is `shard_<number>`. */
  url: string;
};

/** A file to attach. */
export type AttachmentRef = {
  /** Its id. */
  media_id: string;
};

/** What operators did, newest first. */
export type Audit = {
  /** The entries. */
  entries: AuditItem[];
  /** `after` of the next page; null at the end. */
  next: number | null;
};

/** One thing that an operator did. */
export type AuditItem = {
  /** What. */
  action: string;
  /** When, Unix milliseconds. */
  at: number;
  /** Its number; rising. */
  audit_id: number;
  /** The rest. */
  detail: string;
  /** From where. */
  from: string;
  /** To what. */
  target: string;
  /** Who: an account, `local socket`, or `server` for what a job came to. */
  who: string;
};

/** `POST /api/v1/conversations/{id}/bans`. */
export type BanUser = {
  /** Until when; left out: until it is lifted. */
  until?: Millis | null;
  /** Whom; he need not be a member. */
  user_id: UserRef;
};

/** A change is durable. */
export type Changed = {
  /** The line of numbers that `rev` belongs to. */
  history: History;
  /** Number of the change. */
  rev: number;
};

/** `GET /api/v1/conversations/{id}/changes`: the newest state of every row that changed after `since_rev`, in rev order, complete up to `rev`. */
export type Changes = {
  /** The conversation itself, where it changed. */
  conversation?: Conversation | null;
  /** Messages that one has deleted for oneself, with a number above `since_mark`. */
  hidden?: HiddenMessage[];
  /** The line of numbers that rev and mark_rev belong to. */
  history: History;
  /** Complete up to this mark: the next `since_mark`. */
  mark_rev: number;
  /** Members, those that left included, by rising rev. */
  members: Member[];
  /** Messages, tombstones included, by rising rev. */
  messages: Message[];
  /** Whether there is more: ask again from `rev`. */
  more: boolean;
  /** Marks above `since_mark`. */
  receipts: Receipt[];
  /** Other history, ahead of the server, or too far back: drop what you hold and load a page. */
  reset: boolean;
  /** Complete up to this change: the next `since_rev`. */
  rev: number;
};

/** What every member sees of a conversation itself. */
export type Conversation = {
  /** Its id. The id of a direct conversation follows from the two users. */
  conversation_id: ConversationId;
  /** When it was created. */
  created_at: Millis;
  /** Seq of the newest message; 0 before the first. */
  head_seq: number;
  /** The line of numbers that seq, rev and mark_rev belong to. */
  history: History;
  /** Above 100 members, until below 80: receipts of others are not sent. */
  large: boolean;
  /** Number of the newest mark or private change. */
  mark_rev: number;
  /** Members that have not left. */
  member_count: number;
  /** Name of a group; left out for a direct conversation. */
  name?: string | null;
  /** First seq that is still stored; left out when none was removed. Drop messages below it. */
  retained_from?: number | null;
  /** Messages are removed so many seconds after they were sent; left out when this conversation has no such rule. */
  retention_s?: number | null;
  /** Number of the newest change that every member may see. */
  rev: number;
  /** What an admin has set. */
  settings: GroupSettings;
  /** New messages disappear so many seconds after they were sent; left out when they do not. */
  timer_s?: number | null;
  /** Two people, or a group. */
  type: ConversationKind;
};

/** A conversation: a UUID. */
export type ConversationId = string;

/** Two people, or a group. */
export type ConversationKind = 'direct' | 'group';

/** `GET /api/v1/conversations`. */
export type Conversations = {
  /** Latest activity first. */
  conversations: Entry[];
  /** For the next page; null at the end. */
  next_cursor: string | null;
};

/** `POST /api/v1/conversations`: `{type: "direct", user_id}` or `{type: "group", name, member_ids, client_id?, settings?}`. */
export type CreateConversation = {
  /** `group`: your own id of this creation; makes a retry find the same group. */
  client_id?: string | null;
  /** `group`: the other members, at most 1,000. */
  member_ids?: UserRef[] | null;
  /** `group`: its name, 1 to 200 characters. */
  name?: string | null;
  /** `group`: what is set from the beginning; what is left out has its default. */
  settings?: EditSettings | null;
  /** What to create. */
  type: ConversationKind;
  /** `direct`: the other user, or oneself. */
  user_id?: UserRef | null;
};

/** `POST /api/v1/conversations/{id}/invites`. */
export type CreateGroupInvite = {
  /** Until when it can be used; left out: until it is revoked. */
  expires_at?: Millis | null;
  /** How many people may join by it, 1 to 100,000; left out: any number. */
  max_uses?: number | null;
};

/** `DELETE /api/v1/conversations/{id}/messages/{seq}`: twice the same answer. */
export type Deleted = {
  /** Time of the deletion. */
  deleted_at: Millis;
  /** Who deleted it. */
  deleted_by: UserId;
  /** The line of numbers that `rev` belongs to. */
  history: History;
  /** Number of the deletion. */
  rev: number;
};

/** `GET /api/v1/dialog/{user_id}/list`. */
export type DialogList = {
  /** Newest first. */
  messages: DialogMessage[];
  /** All messages of the two, deleted ones included: seq of the newest. */
  total: number;
};

/** One message of the simple API. */
export type DialogMessage = {
  /** The direct conversation of the two. */
  conversation_id: ConversationId;
  /** When the server received it: RFC 3339, UTC, milliseconds. */
  created_at: string;
  /** True for a deleted message; else left out. */
  deleted?: boolean;
  /** Who sent it. */
  from_id: UserId;
  /** The message id as a number of up to 63 bits: mind readers that keep only 53. */
  id: number;
  /** Its place there. */
  seq: number;
  /** The text; empty when deleted. */
  text: string;
  /** Whom it was sent to. */
  to_id: UserId;
};

/** `POST /api/v1/dialog/{user_id}/send`. */
export type DialogSend = {
  /** Your own id of this send; makes a retry harmless. */
  client_id?: string | null;
  /** The text: at most 10,000 UTF-16 units, not empty. */
  text: string;
  /** The recipient again; may be left out, must be the one of the path. */
  to?: UserRef | null;
};

/** `PATCH /api/v1/conversations/{id}/messages/{seq}`. */
export type EditContent = {
  /** The new text. */
  content: string;
  /** Only if the content is still the one of this number; else `conflict`. */
  if_content_rev?: number | null;
};

/** `PATCH /api/v1/conversations/{id}`: in groups by whom their settings allow it; of a direct conversation only how long messages live. */
export type EditConversation = {
  /** A new name, 1 to 200 characters. */
  name?: string | null;
  /** Messages are removed so many seconds after they were sent, 86,400 to 315,360,000; null: they stay. */
  retention_s?: number | null;
  /** New settings; what is left out stays. */
  settings?: EditSettings | null;
  /** New messages disappear so many seconds after they were sent, 5 to 31,536,000; null: they stay. */
  timer_s?: number | null;
};

/** `PATCH /api/v1/conversations/{id}/inbox`: one's own view; what is left out stays. */
export type EditInbox = {
  /** Out of the way until the next message. */
  archived?: boolean | null;
  /** A text that was begun, at most 10,000 UTF-16 units; null or empty takes it away. */
  draft?: string | null;
  /** Hide everything up to this seq for oneself; forward only, clamped to the head. */
  hidden_to?: number | null;
  /** Mark as unread by hand, or take that back. */
  marked_unread?: boolean | null;
  /** Silent until then; null ends it. */
  muted_until?: Millis | null;
  /** Keep it at the top. */
  pinned?: boolean | null;
};

/** `PATCH /api/v1/conversations/{id}/members/{user_id}`. */
export type EditMember = {
  /** The new role; giving `owner` away makes oneself an admin. */
  role: Role;
};

/** Changes of what you let others know; what is left out stays. */
export type EditPrivacy = {
  /** Who may see whether you are online. */
  presence?: PresenceFor | null;
  /** Whether others see how far you have read. */
  read_receipts?: boolean | null;
};

/** `PATCH /api/v1/me`. */
export type EditProfile = {
  /** The name that others see; null makes it the user name again. */
  display_name?: string | null;
  /** What you let others know. */
  privacy?: EditPrivacy | null;
};

/** `PATCH /api/v1/push/settings`; what is left out stays. */
export type EditPushSettings = {
  /** Whether the text is told with it. */
  preview?: boolean | null;
  /** Of which messages. */
  scope?: PushScope | null;
};

/** Changes of a group's settings; what is left out stays. */
export type EditSettings = {
  /** Who may add members and invite by link. */
  add_members?: Level | null;
  /** Who may rename the group; settings need this and at least an admin. */
  change?: Level | null;
  /** Who may delete messages of others. */
  delete_messages?: Level | null;
  /** What a new member sees of what was said before. */
  history_for?: HistoryFor | null;
  /** Who may mention everybody at once. */
  mention_all?: Level | null;
  /** Who may pin. */
  pin?: Level | null;
  /** Who may send; `admins` makes it an announcement group. */
  send?: Level | null;
  /** Slow mode: seconds that a plain member waits between two messages, at most 21,600; 0 ends it. */
  slow_mode_s?: number | null;
  /** Whether the server says in messages of type `system` who joined, left and so on. */
  system_messages?: boolean | null;
};

/** `PATCH /api/v1/push/subscriptions/{subscription_id}`. */
export type EditSubscription = {
  /** Whether it is told anything. */
  enabled?: boolean | null;
};

/** `GET /api/v1/conversations/{id}/messages/{seq}/edits`. */
export type Edits = {
  /** Former contents, oldest first; the present one is in the message. */
  edits: FormerContent[];
  /** The line of numbers that `content_rev` belongs to. */
  history: History;
};

/** An answer that says nothing but "done". */
export type Empty = Record<string, unknown>;

/** One line of the chat list. */
export type Entry = {
  /** The conversation. */
  conversation: Conversation;
  /** One's own view of it. */
  inbox: Inbox;
  /** The newest message one may read; null before the first. */
  last_message: Message | null;
  /** One's own row in it. */
  membership: Membership;
  /** Unread messages; 0 for who has left. */
  unread: number;
  /** Unread messages that mention one; left out when there are none. */
  unread_mentions?: number;
};

/** A refusal. */
export type Error = {
  /** Stable code to act on. */
  code: ErrorCode;
  /** More for machines: `field` (with `invalid`), `permission` (with `forbidden`: what the role or the group's settings do not allow), `request_id` (with `internal`). */
  details: Record<string, unknown>;
  /** A sentence for people. It may change; never compare it. */
  message: string;
  /** Milliseconds to wait before the same request may succeed; null when waiting does not help. */
  retry_after_ms: number | null;
};

/** The body of every REST answer with a status of 400 and above. */
export type ErrorBody = {
  /** The refusal. */
  error: Error;
};

/** Why a call or a command was refused. The names never change their meaning. */
export type ErrorCode = 'bad_request' | 'unauthorized' | 'forbidden' | 'not_member' | 'blocked' | 'not_found' | 'conflict' | 'too_large' | 'unsupported_media' | 'invalid' | 'rate_limited' | 'busy' | 'shard_unavailable' | 'internal';

/** What a message said before an edit. */
export type FormerContent = {
  /** The text. */
  content: string;
  /** Number of this content. */
  content_rev: number;
  /** Since when it said so. */
  since: Millis;
};

/** Lengths of freezes, milliseconds. */
export type FreezeMs = {
  /** The longest. */
  max: number;
  /** Half of them were shorter. */
  p50: number;
  /** 99 of 100 were shorter. */
  p99: number;
};

/** What moves left behind. */
export type Garbage = {
  /** By number. It is removed by itself, page by page. */
  garbage: Leftover[];
};

/** Somebody who is kept out. */
export type GroupBan = {
  /** Since when. */
  banned_at: Millis;
  /** By whom. */
  banned_by: UserId;
  /** Until when; left out: until it is lifted. */
  until?: Millis | null;
  /** Who. */
  user_id: UserId;
};

/** `GET /api/v1/conversations/{id}/bans`. */
export type GroupBans = {
  /** Those whose ban holds, by rising user id. */
  bans: GroupBan[];
  /** For the next page; null at the end. */
  next_cursor: string | null;
};

/** An invite link, without its secret. */
export type GroupInvite = {
  /** When it was made. */
  created_at: Millis;
  /** By whom. */
  created_by: UserId;
  /** Until when it can be used; left out: until it is revoked. */
  expires_at?: Millis | null;
  /** Its name, to revoke it by. */
  invite_id: string;
  /** How many people may join by it; left out: any number. */
  max_uses?: number | null;
  /** How many have joined by it. */
  uses: number;
};

/** A link that was just made. */
export type GroupInviteMade = {
  /** The link. */
  invite: GroupInvite;
  /** What is in the link: whoever has it may join. It is shown only here. */
  token: string;
};

/** `GET /api/v1/conversations/{id}/invites`. */
export type GroupInvites = {
  /** Those that can still be used. */
  invites: GroupInvite[];
};

/** What an admin has set for a group. What is left out has its default. */
export type GroupSettings = {
  /** Who may add members and invite by link; left out: `admins`. */
  add_members?: Level | null;
  /** Who may rename the group; left out: `admins`. Settings need this and at least an admin. */
  change?: Level | null;
  /** Who may delete messages of others; left out: `admins`. */
  delete_messages?: Level | null;
  /** What a new member sees of what was said before. */
  history_for: HistoryFor;
  /** Who may mention everybody at once; left out: `admins`. */
  mention_all?: Level | null;
  /** Who may pin; left out: `admins`. */
  pin?: Level | null;
  /** Who may send; left out: `everyone`. `admins` makes it an announcement group. */
  send?: Level | null;
  /** Seconds that a plain member waits between two messages; left out: 0. */
  slow_mode_s?: number;
  /** Whether the server says in messages of type `system` who joined, left and so on; left out: no. */
  system_messages?: boolean;
};

/** A message that one has deleted for oneself. */
export type HiddenMessage = {
  /** Number of this private change. */
  mark_rev: number;
  /** Its place. */
  seq: number;
};

/** Names a line of numbers. Another history than the one you hold means: drop and load again. */
export type History = string;

/** What a new member sees of what was said before. */
export type HistoryFor = 'since_joining' | 'all';

/** What costs most on this node, the most costly first. */
export type Hot = {
  /** Conversations. */
  conversations: HotThing[];
  /** Units. */
  units: HotThing[];
  /** Users: what they do and read, and what happens in their direct conversations. */
  users: HotThing[];
};

/** Something busy. */
export type HotThing = {
  /** Writes, reads and members who are told, a second, smoothed over some windows. */
  cost: number;
  /** Its shard; of a user that of the own rows. */
  shard: number;
  /** A command that would bring it elsewhere; null where there is no other shard. */
  suggestion: string | null;
  /** Number of a unit or user, id of a conversation. */
  what: string;
};

/** A user whose direct conversations have units of their own. */
export type HotUser = {
  /** Unit of the user's own rows; none: that of their slot. */
  own_unit: number | null;
  /** Number of its creation. */
  rank: number;
  /** Where the units are to live: slot `s` at place `s mod k`. */
  targets: number[];
  /** Units with the slots that are in each. */
  units: SlotUnits[];
  /** Who. */
  user_id: number;
};

/** One's own settings of one conversation. */
export type Inbox = {
  /** Out of the way until the next message. */
  archived: boolean;
  /** A text that was begun and not sent; left out when there is none. */
  draft?: string | null;
  /** Everything up to this seq is hidden for oneself; 0 when nothing is. */
  hidden_to: number;
  /** Marked as unread by hand. */
  marked_unread: boolean;
  /** Silent until then; null when not muted. */
  muted_until: Millis | null;
  /** Kept at the top of the list. */
  pinned: boolean;
};

/** A conversation with a unit of its own. */
export type IsolatedConversation = {
  /** The conversation: a UUID. */
  conversation_id: string;
  /** The unit's shard. */
  shard: number;
  /** Its unit. */
  unit: number;
};

/** One job. */
export type Job = JobReport & {
  /** Changed subjects that wait to be copied again. */
  backlog: number;
  /** Who asked. */
  by: string;
  /** Bytes there are to copy, about. */
  bytes_estimated: number;
  /** When it was planned, Unix milliseconds. */
  created_at: number;
  /** Why it stopped, or what went wrong last. */
  error: string | null;
  /** How long it will take, about, seconds; null when that is not known. */
  eta_s: number | null;
  /** Its moves that are under way, or all of them where one job is asked for; at most 1,000. */
  list: MoveItem[];
  /** Moves in all. */
  moves_total: number;
  /** Rows there are to copy, about. */
  rows_estimated: number;
  /** Rows a second since it began. */
  rows_per_s: number;
  /** What was asked for, in one line. */
  title: string;
  /** How it is taken back. */
  undo: string | null;
  /** When its state last changed, Unix milliseconds. */
  updated_at: number;
  /** Subjects found equal on both sides. */
  verified: number;
};

/** What a job did. */
export type JobReport = {
  /** Bytes copied. */
  bytes: number;
  /** How long, milliseconds. */
  freeze_ms: FreezeMs;
  /** How often units were frozen. */
  freezes: number;
  /** Its number. */
  job_id: number;
  /** Moves, carves and merges that are done. */
  moves: number;
  /** Commands of clients that this node refused since the job began because too much waited for a frozen unit, or for a full queue. */
  refused: number;
  /** Rows copied. */
  rows: number;
  /** How long it took, or has taken so far. */
  seconds: number;
  /** How far it is. */
  state: JobState;
  /** Units that have got another home. */
  units: number;
};

/** How far a job is. */
export type JobState = 'planned' | 'running' | 'paused' | 'done' | 'aborted' | 'failed';

/** Jobs, newest first. */
export type Jobs = {
  /** The jobs, without their moves. */
  jobs: Job[];
  /** `after` of the next page; null at the end. */
  next: number | null;
};

/** `GET /api/v1/join/{token}`: what a link leads to. */
export type JoinPreview = {
  /** The group. */
  conversation_id: ConversationId;
  /** Until when the link can be used; left out: until it is revoked. */
  expires_at?: Millis | null;
  /** Its members. */
  member_count: number;
  /** Its name. */
  name: string;
};

/** Rows of a unit where it used to live. */
export type Leftover = {
  /** The epoch at which the shard gave it up. */
  epoch: number;
  /** Its number. */
  garbage_id: number;
  /** Where. */
  shard: number;
  /** Since when, Unix milliseconds. */
  since: number;
  /** Of which unit. */
  unit: number;
};

/** From which role on something is allowed. */
export type Level = 'everyone' | 'admins' | 'owner';

/** `POST /api/v1/auth/login`. */
export type Login = {
  /** What the list of sessions calls this device. */
  device_name?: string | null;
  /** The password. */
  password: string;
  /** The user name, in any case. */
  username: string;
};

/** `POST /api/v1/users/lookup`: users by id, at most 1,000 in all. */
export type LookupUsers = {
  /** By the id in your own system, without `ext:`. */
  external_ids?: string[];
  /** By number. */
  ids?: UserId[];
};

/** `POST …/read` and `…/delivered`: one of `seq` and `message_id`. */
export type MarkUpTo = {
  /** Or everything up to this message. */
  message_id?: MessageId | null;
  /** Everything up to this seq; forward only, clamped to the head. */
  seq?: number | null;
};

/** A file that was uploaded. */
export type Media = {
  /** Milliseconds of audio or video, if its header says them. */
  duration_ms?: number | null;
  /** Pixels, as it is to be seen. */
  height?: number | null;
  /** Its id. */
  media_id: string;
  /** Its type, found out from its bytes. */
  mime: string;
  /** Its name, as it was uploaded. */
  name?: string | null;
  /** Bytes. */
  size: number;
  /** A tiny preview of a picture: a thumbhash in base64. */
  thumbhash?: string | null;
  /** The address of a picture's small picture. */
  thumbnail_url?: string | null;
  /** Its address, signed, good for a day at least. Without a host, where none is configured. */
  url: string;
  /** Pixels, as it is to be seen. */
  width?: number | null;
};

/** A member of a conversation as the others see it. */
export type Member = {
  /** Delivered mark; in large groups only one's own. */
  delivered_seq?: number | null;
  /** First seq after joining. */
  joined_seq: number;
  /** Last seq before leaving; left out while a member. */
  left_seq?: number | null;
  /** Number of the last change of the marks. */
  mark_rev?: number | null;
  /** Read mark; in large groups only one's own. */
  read_seq?: number | null;
  /** Number of the last change of role or membership. The higher one wins. */
  rev: number;
  /** What the member may do. */
  role: Role;
  /** Who. */
  user_id: UserId;
};

/** `GET /api/v1/conversations/{id}/members`. */
export type Members = {
  /** Those that have not left, by rising user id. */
  members: Member[];
  /** For the next page; null at the end. */
  next_cursor: string | null;
};

/** The members that were added. */
export type MembersAdded = {
  /** The line of numbers that `rev` belongs to. */
  history: History;
  /** Each as it is now. */
  members: Member[];
  /** Number of the last of these changes. */
  rev: number;
};

/** One's own row in a conversation. */
export type Membership = {
  /** Everything up to here has reached a device of one's own. */
  delivered_seq: number;
  /** First seq after joining. */
  joined_seq: number;
  /** Last seq before leaving; left out while a member. */
  left_seq?: number | null;
  /** Everything up to here is read. */
  read_seq: number;
  /** What one may do. */
  role: Role;
  /** Unread messages are those above this seq. */
  unread_floor: number;
};

/** A user named in a text; offsets count UTF-16 units, `end` is exclusive. */
export type Mention = {
  /** Unit after the last. */
  end: number;
  /** First unit. */
  start: number;
  /** A user: 1 to 2^53-1, exact in every JSON reader. */
  user_id: number;
};

/** One message, or the tombstone of a deleted one. */
export type Message = {
  /** Files. */
  attachments?: Media[];
  /** The sender's own id of it; on the sender's own connections only. */
  client_id?: string | null;
  /** The text; left out when deleted or withheld. */
  content?: string | null;
  /** Number of the last change of its content; for `if_content_rev`. */
  content_rev: number;
  /** The conversation it belongs to. */
  conversation_id: ConversationId;
  /** Time of the deletion; makes it a tombstone. */
  deleted_at?: Millis | null;
  /** Who deleted it. */
  deleted_by?: UserId | null;
  /** Time of the last edit. */
  edited_at?: Millis | null;
  /** When it disappears; left out when it does not. */
  expires_at?: Millis | null;
  /** True when the reader has deleted it for himself: nothing of its content is shown. */
  hidden?: boolean;
  /** The line of numbers that `rev` belongs to. There where a message stands alone (an event, an answer); inside a page or `changes` that one says it for all. */
  history?: History | null;
  /** With a new message: its sender's own marks moved to its seq, with this number. */
  mark_rev?: number | null;
  /** Users named in the text, by rising offset. */
  mentions?: Mention[];
  /** Its id; rises with seq inside the conversation. */
  message_id: MessageId;
  /** Since when it is pinned for everybody; left out when it is not. */
  pinned_at?: Millis | null;
  /** Reactions, one for each emoji. */
  reactions?: Reaction[];
  /** The message it answers. */
  reply_to?: Reply | null;
  /** Number of its last change, reactions included. The higher one wins. */
  rev: number;
  /** Who sent it. */
  sender_id: UserId;
  /** Its place there: 1, 2, 3 … without gaps. */
  seq: number;
  /** The server's receive time; never goes back inside a conversation. */
  timestamp: Millis;
  /** What it is. */
  type: MessageKind;
  /** True for a former member when this was edited after leaving: the content is not shown. */
  withheld?: boolean;
};

/** A message: always 19 digits, unique in the cluster, rising with seq in its conversation. */
export type MessageId = string;

/** What a message is; `system` is made by the server only. */
export type MessageKind = 'text' | 'image' | 'file' | 'system';

/** `GET /api/v1/conversations/{id}/messages`: rising seq. */
export type MessagePage = {
  /** First seq that one may read at all. */
  first_seq: number;
  /** Whether one may read newer ones. */
  has_more_after: boolean;
  /** Whether one may read older ones. */
  has_more_before: boolean;
  /** Last seq that one may read; for members, that of the newest message. */
  head_seq: number;
  /** The line of numbers that seq and rev belong to. */
  history: History;
  /** The messages, by rising seq. */
  messages: Message[];
  /** The page holds at least everything up to this change; rows may be newer. */
  rev: number;
  /** True when it came from a replica; else left out. */
  stale?: boolean;
};

/** Unix milliseconds, UTC. */
export type Millis = number;

/** One move. */
export type MoveItem = {
  /** How often it was begun. */
  attempts: number;
  /** Changed subjects that wait to be copied again. */
  backlog: number;
  /** Bytes copied. */
  bytes: number;
  /** Their home afterwards. */
  destination: number;
  /** What went wrong last. */
  error: string | null;
  /** The last freeze, milliseconds. */
  freeze_ms_last: number;
  /** The longest. */
  freeze_ms_max: number;
  /** How often it froze. */
  freezes: number;
  /** `move`, `carve` or `merge`. */
  kind: string;
  /** Who drives it. */
  lease: number;
  /** Its number. */
  move_id: number;
  /** How far it is. */
  phase: MovePhase;
  /** When it is tried again, Unix milliseconds. */
  retry_at: number | null;
  /** Rows copied. */
  rows: number;
  /** Rows to copy, about. */
  rows_estimated: number;
  /** Since when, Unix milliseconds. */
  since: number;
  /** Home of the units before. */
  source: number;
  /** The units. */
  units: number[];
  /** Subjects found equal on both sides. */
  verified: number;
};

/** How far a move is. */
export type MovePhase = 'planned' | 'copying' | 'freezing' | 'committed' | 'done' | 'aborting' | 'aborted';

/** `POST /api/v1/admin/shards/move`: exactly one of `slot`, `pair`, `conversation` and `user`. */
export type MoveRequest = {
  /** A conversation: a UUID. */
  conversation?: string | null;
  /** Only say what would be done. */
  dry_run?: boolean;
  /** The direct conversation of two users, `U:V`. */
  pair?: string | null;
  /** Slots `A..B`, B not included, or one slot `A`. */
  slot?: string | null;
  /** Where to. Several only for a user. */
  to?: number[];
  /** A user with all direct conversations: number, `ext:` and external id, or name. */
  user?: string | null;
};

/** The data of a message that is to be sent; the same on both transports. */
export type OutgoingMessage = {
  /** Files, at most ten: what you have uploaded, or may read. */
  attachments?: AttachmentRef[];
  /** Your own id of this send, at most 64 bytes without control characters: makes a retry harmless. */
  client_id?: string | null;
  /** The text: at most 10,000 UTF-16 units, not empty. */
  content: string;
  /** Users named in the text. */
  mentions?: Mention[];
  /** Seq of the message it answers. */
  reply_to?: number | null;
  /** `text` when left out; `system` is the server's own. */
  type?: MessageKind | null;
};

/** What lives apart from its slot. */
export type Overrides = {
  /** Conversations with a unit of their own. */
  conversations: IsolatedConversation[];
  /** Version of the map. */
  map_version: number;
  /** Users whose direct conversations have units of their own, oldest first: of two in one conversation the older decides. */
  users: HotUser[];
};

/** `GET /api/v1/me`: one's own profile, with what only its owner knows. */
export type OwnProfile = {
  /** The name that others see. */
  display_name: string;
  /** The id in your own system. */
  external_id?: string | null;
  /** What you let others know. */
  privacy: Privacy;
  /** The user. */
  user_id: UserId;
  /** The name to sign in with; null for users of your own system that have none here. */
  username: string | null;
};

/** `GET /api/v1/conversations/{id}/pins`. */
export type Pins = {
  /** The line of numbers that seq and rev belong to. */
  history: History;
  /** The pinned messages that one may read, by rising seq. */
  messages: Message[];
  /** The list holds at least everything up to this change; rows may be newer. */
  rev: number;
};

/** `POST /api/v1/admin/shards/plan`: exactly one of `add`, `drain`, `shards` and `balance`. */
export type PlanRequest = {
  /** Spread slots evenly over the shards in use and so many that hold nothing yet. */
  add?: number | null;
  /** Even out what shards hold, by messages, with as few moves as that takes. */
  balance?: boolean;
  /** Everything away from this shard. */
  drain?: number | null;
  /** Only say what would be done. Shards that are not there yet may be counted in. */
  dry_run?: boolean;
  /** Spread everything evenly over so many shards, those with the smallest numbers. */
  shards?: number | null;
};

/** A shard before and after a plan. */
export type PlanShard = {
  /** Units that come. */
  coming: number;
  /** Whether it is there. */
  is_there: boolean;
  /** Units that leave. */
  leaving: number;
  /** Its number; of one that is not there yet, the one it would get. */
  shard: number;
  /** Units now. */
  units: number;
};

/** What is planned. */
export type Planned = {
  /** Bytes to copy, about. */
  bytes: number;
  /** The job; null for a dry run. */
  job_id: number | null;
  /** Moves, carves and merges. */
  moves: number;
  /** Rows to copy, about. */
  rows: number;
  /** How long it takes, about, seconds. */
  seconds: number;
  /** What each shard has before and after. */
  shards: PlanShard[];
  /** What it is, in one line. */
  title: string;
  /** Units that get another home. */
  units: number;
};

/** A user's presence; the data of `presence_update`. */
export type Presence = {
  /** When the user was last online: now, of who is. Null before the first time, and where it is not for you to see. */
  last_seen: Millis | null;
  /** Whether the user is online. */
  status: PresenceStatus;
  /** The user. */
  user_id: UserId;
};

/** Who may see whether a user is online: everyone, those to whom the user has written directly, or nobody. */
export type PresenceFor = 'everyone' | 'contacts' | 'nobody';

/** `GET /api/v1/presence`: one for each user that was asked for, in that order. */
export type PresenceList = Presence[];

/** Whether a user is there. */
export type PresenceStatus = 'online' | 'offline';

/** What a user lets others know; who hides something does not see it of others. */
export type Privacy = {
  /** Who may see whether a user is online: everyone, those to whom the user has written directly, or nobody. */
  presence: 'everyone' | 'contacts' | 'nobody';
  /** Whether others see how far this user has read. */
  read_receipts: boolean;
};

/** What everyone may know of a user. */
export type Profile = {
  /** The name that others see. */
  display_name: string;
  /** The id in your own system. */
  external_id?: string | null;
  /** The user. */
  user_id: UserId;
  /** The name to sign in with; null for users of your own system that have none here. */
  username: string | null;
};

/** Several users. */
export type Profiles = {
  /** Those that exist, by rising id. */
  users: Profile[];
};

/** Of which messages a user is told while away: all that are not muted, those that mention the user, or none. */
export type PushScope = 'all' | 'mentions' | 'none';

/** What one wants to be told while away. */
export type PushSettings = {
  /** Whether the text is told with it. */
  preview: boolean;
  /** Of which messages. */
  scope: PushScope;
};

/** A device that is reached while its user is away. */
export type PushSubscription = {
  /** When it was added. */
  created_at: Millis;
  /** Whether it is of the session that asks. */
  current: boolean;
  /** Whether it is told anything. */
  enabled: boolean;
  /** When it ends by itself; null when only with its session. */
  expires_at: Millis | null;
  /** Host of the push service. */
  service: string;
  /** The session it goes with; null for tokens of another system. */
  session_id: string | null;
  /** Its id, for changing and forgetting it. */
  subscription_id: string;
};

/** `GET /api/v1/push/subscriptions`. */
export type PushSubscriptions = {
  /** One's own devices, by rising id; at most 20. */
  subscriptions: PushSubscription[];
};

/** Everyone who reacted with one emoji. */
export type Reaction = {
  /** How many users. */
  count: number;
  /** The emoji. */
  emoji: string;
  /** The first 10 of them, by rising id. */
  user_ids: UserId[];
};

/** Marks of one member; merged by maximum. */
export type Receipt = {
  /** Everything up to here has reached a device. */
  delivered_seq: number;
  /** Number of the last change of these marks. */
  mark_rev: number;
  /** Everything up to here is read. */
  read_seq: number;
  /** Whose marks. */
  user_id: UserId;
};

/** `POST /api/v1/auth/register`. */
export type Register = {
  /** The name that others see; the user name when left out. */
  display_name?: string | null;
  /** The code of an invite, where only who was invited may sign up; else it is not looked at. */
  invite?: string | null;
  /** 8 to 256 characters. */
  password: string;
  /** 3 to 32 of `a-z 0-9 . _ -`; folded to lower case. */
  username: string;
};

/** `POST /api/v1/admin/search`: brings the indexes level with their shards. */
export type Reindex = {
  /** Forget everything first. */
  anew?: boolean;
};

/** `GET /api/v1/conversations/{id}/messages/{seq}/replies`. */
export type Replies = {
  /** How many there are in all; beyond 1,000 they are not counted. */
  count: number;
  /** Whether there are more after this page. */
  has_more_after: boolean;
  /** The line of numbers that seq and rev belong to. */
  history: History;
  /** The messages that answer it and that one may read, by rising seq; deleted ones are left out. */
  messages: Message[];
  /** The page holds at least everything up to this change; rows may be newer. */
  rev: number;
};

/** What a reply shows of the message it answers. */
export type Reply = {
  /** The first 140 UTF-16 units of the quoted message as it is now; empty when it is deleted. */
  excerpt: string;
  /** Its sender. */
  sender_id: UserId;
  /** Seq of the quoted message. */
  seq: number;
};

/** What a member may do. */
export type Role = 'member' | 'admin' | 'owner';

/** `GET /api/v1/search/conversations`: conversations of one's list by name. */
export type SearchConversations = {
  /** The conversations, latest activity first. */
  conversations: Entry[];
};

/** `GET /api/v1/search`: messages that one may read. */
export type SearchFound = {
  /** The messages. */
  hits: SearchHit[];
  /** The index is still being made: messages may be missing that will be found later. */
  indexing?: boolean;
  /** Where to go on; none at the end. A page may be shorter than `limit` and still have one. */
  next_cursor?: string | null;
  /** Shards with conversations of one's own that did not answer: of these, messages may be missing. */
  unavailable_shards?: number[];
};

/** A message that was found. */
export type SearchHit = {
  /** Its conversation. */
  conversation_id: ConversationId;
  /** Where the words stand in its text: UTF-16 units, first and one past the last, by rising start. */
  highlights: number[][];
  /** The message as it is now. */
  message: Message;
};

/** `GET /api/v1/admin/search`: the index of each shard. */
export type SearchIndexes = {
  /** One for each shard of this server. */
  shards: ShardIndex[];
};

/** `GET /api/v1/conversations/{id}/messages/{seq}/seen`. */
export type SeenBy = {
  /** Members whose devices it has reached and who have not read it, or do not tell. */
  delivered: UserId[];
  /** Members that have read it, without its sender, by rising user id. */
  read: UserId[];
};

/** One signed-in device. */
export type Session = {
  /** When it signed in. */
  created_at: Millis;
  /** Whether it is the one that asks. */
  current: boolean;
  /** The name given at sign-in; null without one. */
  device_name: string | null;
  /** When it was last seen, to the minute or so; null when never. */
  last_seen_at: Millis | null;
  /** Its id, for revoking it. */
  session_id: string;
};

/** `GET /api/v1/auth/sessions`. */
export type Sessions = {
  /** One's own signed-in devices, the latest sign-in first. */
  sessions: Session[];
};

/** One shard. */
export type Shard = {
  /** Bytes of its tables on disk. */
  bytes: number;
  /** Conversations, leftovers of moves included. */
  conversations: number;
  /** Why it does not answer now; its counts are 0 then. */
  error: string | null;
  /** Units whose rows are still to be removed here. */
  garbage: number;
  /** `embedded` or `postgres`. */
  kind: string;
  /** Messages, tombstones and leftovers included. */
  messages: number;
  /** Moves under way from or to it. */
  moves: number;
  /** Its number; never reused. */
  shard: number;
  /** Whether it takes units. */
  state: ShardAdmission;
  /** Units that live here. */
  units: number;
  /** Where it is kept, without its password. */
  url: string;
  /** Users with rows of their own. */
  users: number;
};

/** Whether a shard takes units. */
export type ShardAdmission = 'accepting' | 'draining';

/** The index of one shard. */
export type ShardIndex = {
  /** Whether it answers; the numbers of one that does not are 0. */
  answers: boolean;
  /** Bytes on disk. */
  bytes: number;
  /** Whether it has everything that was committed a moment ago. */
  complete: boolean;
  /** Conversations that it follows. */
  conversations: number;
  /** Messages that can be found. */
  messages: number;
  /** The shard. */
  shard: number;
};

/** All shards. */
export type Shards = {
  /** Units whose rows are still to be removed where they used to live. */
  garbage: number;
  /** Version of the map. */
  map_version: number;
  /** Moves under way. */
  moves: number;
  /** By number. */
  shards: Shard[];
};

/** A new session: the answer to register and login. */
export type SignedIn = {
  /** The session; for the list of sessions. */
  session_id: string;
  /** For `Authorization: Bearer`; shown this once. */
  token: string;
  /** The user. */
  user: Profile;
};

/** `DELETE /api/v1/auth/sessions`: what became of the other devices. */
export type SignedOut = {
  /** Sessions that ended. */
  revoked: number;
};

/** A carved unit. */
export type SlotUnits = {
  /** Its shard. */
  shard: number;
  /** How many slots' direct conversations of the user are in it. */
  slots: number;
  /** The unit. */
  unit: number;
};

/** `POST /api/v1/push/subscriptions`: what `PushSubscription.toJSON()` of a browser gives. */
export type Subscribe = {
  /** Where the push service takes messages; https, at most 2,000 bytes. */
  endpoint: string;
  /** The keys that messages are encrypted with. */
  keys: SubscriptionKeys;
};

/** Keys of a device. */
export type SubscriptionKeys = {
  /** Its secret: 16 bytes, base64url. */
  auth: string;
  /** Its public key: an uncompressed point of P-256, base64url. */
  p256dh: string;
};

/** `GET /api/v1/sync`: what changed in one's own list. */
export type Sync = {
  /** Conversations that changed since the cursor. */
  conversations: Entry[];
  /** Where to go on; store it. Only this call moves it. */
  cursor: string;
  /** Whether there is more: ask again with the new cursor. */
  more: boolean;
  /** Conversations that are gone. */
  removed: ConversationId[];
  /** The listing starts anew: forget what it does not name. */
  reset: boolean;
  /** Newest change of one's own view that this answer covers. */
  user_rev: number;
};

/** `POST /api/v1/auth/ticket`: for `?ticket=` on the WebSocket, where browsers cannot send headers. */
export type Ticket = {
  /** Good for one use within 30 seconds. */
  ticket: string;
};

/** `GET /api/v1/conversations/unread`. */
export type Unread = {
  /** Unread messages of every conversation that has some. */
  conversations: Record<string, number>;
  /** Unread messages, leaving out muted, archived and hidden conversations. */
  total: number;
};

/** A user: 1 to 2^53-1, exact in every JSON reader. */
export type UserId = number;

/** A user: the number, or `ext:` and the id in your own system. */
export type UserRef = number | string;

/** `GET /api/v1/push/vapid-key`. */
export type VapidPublicKey = {
  /** For `applicationServerKey` of `PushManager.subscribe`: base64url. It stays as long as the data does. */
  key: string;
};

/** What a client sends: the data of each type of frame. */
export type ClientFrames = {
  /** Send a message. Answer: `message_sent`. */
  send_message: {
    /** The conversation; or `to`. */
    conversation_id?: ConversationId;
    /** A user: the direct conversation, which begins with its first message. */
    to?: UserRef;
  } & {
    /** Files, at most ten: what you have uploaded, or may read. */
    attachments?: AttachmentRef[];
    /** Your own id of this send, at most 64 bytes without control characters: makes a retry harmless. */
    client_id?: string | null;
    /** The text: at most 10,000 UTF-16 units, not empty. */
    content: string;
    /** Users named in the text. */
    mentions?: Mention[];
    /** Seq of the message it answers. */
    reply_to?: number | null;
    /** `text` when left out; `system` is the server's own. */
    type?: MessageKind | null;
  };
  /** Change the text of one's own message. Answer: `ok` with `message`. */
  edit_message: {
    /** The new text. */
    content: string;
    /** The conversation. */
    conversation_id: ConversationId;
    /** Only if the content is still the one of this number; else `conflict`. */
    if_content_rev?: number | null;
    /** The message. */
    seq: number;
  };
  /** Delete a message for everyone: its sender, or an admin of the group. Answer: `ok` with `rev`, `deleted_at` and `deleted_by`; twice the same. With `for: "me"` only for oneself: `ok` with `mark_rev`. */
  delete_message: {
    /** The conversation. */
    conversation_id: ConversationId;
    for?: 'everyone' | 'me';
    /** The message. */
    seq: number;
  };
  /** Add or remove one's own reaction. Answer: `ok` with `message`. */
  react: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** The emoji, at most 64 bytes. */
    emoji: string;
    /** True takes it away. */
    remove?: boolean;
    /** The message. */
    seq: number;
  };
  /** Everything up to here is read, and delivered. One of `seq` and `message_id`. Answer: `ok`. */
  mark_read: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** Or everything up to this message. */
    message_id?: MessageId | null;
    /** Everything up to this seq; clamped to the head. */
    seq?: number | null;
  };
  /** Everything up to here has reached this device. One of `seq` and `message_id`. Answer: `ok`. */
  mark_delivered: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** Or everything up to this message. */
    message_id?: MessageId | null;
    /** Everything up to this seq; clamped to the head. */
    seq?: number | null;
  };
  /** You type, or have stopped. Repeat it every few seconds while it goes on. No answer, but `error` where the conversation is not yours. Nothing happens in groups that are `large`. */
  typing: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** False takes it back. */
    is_typing: boolean;
  };
  /** Watch users, besides those watched already; at most 500 in all, more is `invalid`. Answer: `ok`, before it a `presence_update` of each as it is now. It ends with the connection. */
  presence_subscribe: {
    /** The users, at most 500. */
    user_ids: UserRef[];
  };
  /** Watch these users no longer. Answer: `ok`. */
  presence_unsubscribe: {
    /** The users, at most 500. */
    user_ids: UserRef[];
  };
  /** Still here. Answer: `heartbeat` with `user_rev`. */
  heartbeat: Record<string, unknown>;
};

/** What the server sends: the data of each type of frame. */
export type ServerFrames = {
  /** Always the first frame. Events already flow to this connection. */
  hello: {
    /** Send a heartbeat at least this often, in seconds. */
    heartbeat_s: number;
    /** Largest frame that is read, in bytes; above it the connection closes with 4413. */
    max_frame_bytes: number;
    /** Commands that may wait for their answer; beyond it the socket is not read. */
    max_in_flight: number;
    /** The server's clock. */
    server_time: Millis;
    /** The session of this connection. */
    session_id: string;
    /** The user it belongs to. */
    user_id: UserId;
    /** Newest change of this user's own view. */
    user_rev: number;
  };
  /** Answer to `send_message`: the message is durable. */
  message_sent: {
    /** The id that the sender gave it; null without one. */
    client_id: string | null;
    /** The conversation; for `to`, the direct one. */
    conversation_id: ConversationId;
    /** The line of numbers that `rev` belongs to. */
    history: History;
    /** The message as stored; of a repeated send, as it is now. */
    message: Message;
    /** Its id. */
    message_id: MessageId;
    /** Its number of change; of a repeated send, that of its present state. */
    rev: number;
    /** Its place there. */
    seq: number;
    /** The server's receive time. */
    timestamp: Millis;
  };
  /** Answer to every other command: it is durable. What is in it depends on the command. */
  ok: {
    /** Delete: time of the deletion. */
    deleted_at?: Millis | null;
    /** Delete: who deleted it. */
    deleted_by?: UserId | null;
    /** Delete: the line of numbers that `rev` belongs to. */
    history?: History | null;
    /** Delete for oneself: number of this private change. */
    mark_rev?: number | null;
    /** Edit and react: the message as it is now. */
    message?: Message | null;
    /** Delete: number of the deletion. */
    rev?: number | null;
  };
  /** A message was sent: to every connection of every member but the one that sent it. It also moved its sender's own read and delivered mark to its seq, with `mark_rev`. `client_id` is there on the sender's own connections only. */
  new_message: Message;
  /** A message was edited or reacted to; this is its state now. */
  message_updated: Message;
  /** A message was deleted for everyone. */
  message_deleted: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** Time of the deletion. */
    deleted_at: Millis;
    /** Who deleted it. */
    deleted_by: UserId;
    /** The line of numbers that `rev` belongs to. */
    history: History;
    /** Its id. */
    message_id: MessageId;
    /** Number of the deletion. */
    rev: number;
    /** Its place there; the tombstone keeps it. */
    seq: number;
  };
  /** A message was deleted for oneself, on another device. */
  message_hidden: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** The line of numbers that `mark_rev` belongs to. */
    history: History;
    /** Number of this private change. */
    mark_rev: number;
    /** The message. */
    seq: number;
  };
  /** A member's marks moved. In large groups only one's own, from one's other devices. */
  receipt: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** Everything up to here has reached a device. */
    delivered_seq?: number | null;
    /** The line of numbers that `mark_rev` belongs to. */
    history: History;
    /** Number of this change of marks. */
    mark_rev: number;
    /** Everything up to here is read. */
    read_seq?: number | null;
    /** Whose marks. */
    user_id: UserId;
  };
  /** The conversation itself changed: name, settings, `member_count`, `large`. Its `rev` is the number of this change. */
  conversation_updated: Conversation;
  /** Someone joined, left, was removed or changed role. A command that takes several members sends one for each, in rev order, then `conversation_updated` with the new count. */
  member_updated: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** The line of numbers that `rev` belongs to. */
    history: History;
    /** The member as it is now; who left has `left_seq`. */
    member: Member;
    /** Number of this change. */
    rev: number;
  };
  /** One's own view of a conversation moved on. At most four a second and conversation. If its `rev` is above yours, ask `changes`. */
  inbox_updated: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** The line of numbers that `rev` and `mark_rev` belong to. */
    history: History;
    /** One's own settings, where these changed. */
    inbox?: Inbox | null;
    /** The conversation's newest mark. */
    mark_rev: number;
    /** The conversation's newest change: above your own, ask `changes`. */
    rev: number;
    /** Unread messages. */
    unread: number;
    /** Newest change of this user's own view. Only `/sync` moves the stored cursor. */
    user_rev: number;
  };
  /** Another member types, or has stopped. Who does not go on has stopped after some seconds, also by the message that comes of it. May be lost. */
  typing: {
    /** The conversation. */
    conversation_id: ConversationId;
    /** False: has stopped, or has not gone on. */
    is_typing: boolean;
    /** Who. */
    user_id: UserId;
  };
  /** A watched user came or went. Several changes within a moment are one. */
  presence_update: {
    /** When the user was last online: now, of who is. Null before the first time, and where it is not for you to see. */
    last_seen: Millis | null;
    /** Whether the user is online. */
    status: PresenceStatus;
    /** The user. */
    user_id: UserId;
  };
  /** Events were dropped for this connection: do as after a reconnect. */
  sync_required: Record<string, unknown>;
  /** Answer to the client's `heartbeat`. */
  heartbeat: {
    /** The server's clock. */
    server_time: Millis;
    /** Newest change of this user's own view: above the last answer of `/sync`, ask it again. */
    user_rev: number;
  };
  /** A command was refused, or a frame could not be understood. The connection stays. */
  error: {
    /** Stable code to act on. */
    code: ErrorCode;
    /** More for machines: `field` (with `invalid`), `permission` (with `forbidden`: what the role or the group's settings do not allow), `request_id` (with `internal`). */
    details: Record<string, unknown>;
    /** A sentence for people. It may change; never compare it. */
    message: string;
    /** Milliseconds to wait before the same request may succeed; null when waiting does not help. */
    retry_after_ms: number | null;
  };
};

/** The REST calls, by method and path. */
export type Operations = {
  /** Read the audit log. */
  'GET /api/v1/admin/audit': {
    query?: { limit?: number; after?: number };
    answer: Audit;
  };
  /** What each index holds. */
  'GET /api/v1/admin/search': {
    answer: SearchIndexes;
  };
  /** Bring the indexes level with their shards. Nothing is refused meanwhile; messages are found as far as the indexes know them. */
  'POST /api/v1/admin/search': {
    body: Reindex;
    answer: SearchIndexes;
  };
  /** What each shard is and holds. Everything under this heading is for users with the admin role, and for the admin socket. */
  'GET /api/v1/admin/shards': {
    answer: Shards;
  };
  /** Add a shard. Its tables are made first. It holds nothing until a job brings units. */
  'POST /api/v1/admin/shards': {
    body: AddShard;
    answer: Shard;
  };
  /** List leftovers. */
  'GET /api/v1/admin/shards/garbage': {
    answer: Garbage;
  };
  /** Ask for leftovers to be removed. They are removed by themselves, page by page; this wakes whoever removes them, who looks for leftovers about once a second. */
  'POST /api/v1/admin/shards/garbage': {
    answer: Garbage;
  };
  /** List hot units, conversations and users. Of this node, smoothed over some windows. */
  'GET /api/v1/admin/shards/hot': {
    query?: { limit?: number };
    answer: Hot;
  };
  /** List jobs. */
  'GET /api/v1/admin/shards/jobs': {
    query?: { limit?: number; after?: number };
    answer: Jobs;
  };
  /** Read one job. */
  'GET /api/v1/admin/shards/jobs/{job_id}': {
    path: { job_id: number };
    answer: Job;
  };
  /** Give a job up. Moves that are under way go back; those that are done stay, `undo` takes them back. */
  'POST /api/v1/admin/shards/jobs/{job_id}/abort': {
    path: { job_id: number };
    answer: JobReport;
  };
  /** Begin a planned job. One that runs already is left alone. */
  'POST /api/v1/admin/shards/jobs/{job_id}/apply': {
    path: { job_id: number };
    answer: JobReport;
  };
  /** Pause a job. Moves that are under way end first. */
  'POST /api/v1/admin/shards/jobs/{job_id}/pause': {
    path: { job_id: number };
    answer: JobReport;
  };
  /** Go on with a job. */
  'POST /api/v1/admin/shards/jobs/{job_id}/resume': {
    path: { job_id: number };
    answer: JobReport;
  };
  /** Take a job back. A new job that does the reverse, last move first. */
  'POST /api/v1/admin/shards/jobs/{job_id}/undo': {
    path: { job_id: number };
    answer: JobReport;
  };
  /** Move slots, a conversation or a user. What is there already is not moved: a job without moves is done at once. */
  'POST /api/v1/admin/shards/move': {
    body: MoveRequest;
    answer: Planned | JobReport;
  };
  /** List isolated conversations and users. */
  'GET /api/v1/admin/shards/overrides': {
    answer: Overrides;
  };
  /** Plan how units are spread. Without `dry_run` the job is stored and waits to be applied. */
  'POST /api/v1/admin/shards/plan': {
    body: PlanRequest;
    answer: Planned;
  };
  /** Forget a shard that is empty. `conflict` while it holds a unit or leftovers, or a move or an override names it. */
  'DELETE /api/v1/admin/shards/{shard_id}': {
    path: { shard_id: number };
    answer: undefined;
  };
  /** Let a shard take units again. */
  'POST /api/v1/admin/shards/{shard_id}/accept': {
    path: { shard_id: number };
    answer: Shard;
  };
  /** Empty a shard. It takes no units any more, and a job brings all it has elsewhere. */
  'POST /api/v1/admin/shards/{shard_id}/drain': {
    path: { shard_id: number };
    answer: JobReport;
  };
  /** Sign in with name and password. A wrong name and a wrong password get the same answer after the same time. `forbidden`: the password was right, and the account is deactivated. */
  'POST /api/v1/auth/login': {
    body: Login;
    answer: SignedIn;
  };
  /** Sign this session out. Its connections close with 4401. */
  'POST /api/v1/auth/logout': {
    answer: undefined;
  };
  /** Create an account and sign in. Can be switched off by the operator, or be for those with an `invite` only (`forbidden`). `conflict` when the name is taken. */
  'POST /api/v1/auth/register': {
    body: Register;
    answer: SignedIn;
  };
  /** List one's own sessions. */
  'GET /api/v1/auth/sessions': {
    answer: Sessions;
  };
  /** Sign all other devices out. Not the one that asks. Their connections close with 4401. */
  'DELETE /api/v1/auth/sessions': {
    answer: SignedOut;
  };
  /** Revoke a session. Its connections close with 4401. */
  'DELETE /api/v1/auth/sessions/{session_id}': {
    path: { session_id: string };
    answer: undefined;
  };
  /** Get a ticket for the WebSocket. For browsers, which cannot send headers with a WebSocket: `/api/v1/ws?ticket=…`. */
  'POST /api/v1/auth/ticket': {
    answer: Ticket;
  };
  /** Read the chat list, latest activity first. */
  'GET /api/v1/conversations': {
    query?: { limit?: number; cursor?: string };
    answer: Conversations;
  };
  /** Open a direct conversation or create a group. A direct conversation exists once for two users; its id follows from theirs. */
  'POST /api/v1/conversations': {
    body: CreateConversation;
    answer: Entry;
  };
  /** Read all unread counts, cheaply. */
  'GET /api/v1/conversations/unread': {
    answer: Unread;
  };
  /** Read one conversation. */
  'GET /api/v1/conversations/{conversation_id}': {
    path: { conversation_id: ConversationId };
    answer: Entry;
  };
  /** Rename a group, change its settings, say how long messages live. In groups by whom `settings.change` allows it, settings by an admin at least. Of a direct conversation both may change `timer_s` and `retention_s`. */
  'PATCH /api/v1/conversations/{conversation_id}': {
    path: { conversation_id: ConversationId };
    body: EditConversation;
    answer: Entry;
  };
  /** Delete a group for everyone. Groups only, by the owner. */
  'DELETE /api/v1/conversations/{conversation_id}': {
    path: { conversation_id: ConversationId };
    answer: undefined;
  };
  /** List who is kept out of a group. By an admin or the owner. */
  'GET /api/v1/conversations/{conversation_id}/bans': {
    path: { conversation_id: ConversationId };
    query?: { limit?: number; cursor?: string };
    answer: GroupBans;
  };
  /** Keep a user out of a group. By an admin or the owner, only of a lower role. A member is removed. Who is banned cannot be added or join by a link until the ban ends or is lifted. */
  'POST /api/v1/conversations/{conversation_id}/bans': {
    path: { conversation_id: ConversationId };
    body: BanUser;
    answer: Changed;
  };
  /** Lift a ban. By an admin or the owner. Nobody is added by it. */
  'DELETE /api/v1/conversations/{conversation_id}/bans/{user_id}': {
    path: { conversation_id: ConversationId; user_id: UserRef };
    answer: Changed;
  };
  /** Read what changed in a conversation. The newest state of every row that changed after `since_rev`, in rev order, complete up to the answer's `rev`. Ask again while `more` is true. */
  'GET /api/v1/conversations/{conversation_id}/changes': {
    path: { conversation_id: ConversationId };
    query?: { since_rev?: number; since_mark?: number; history?: string; limit?: number };
    answer: Changes;
  };
  /** Mark as delivered up to a message. Forward only, clamped to the newest message. */
  'POST /api/v1/conversations/{conversation_id}/delivered': {
    path: { conversation_id: ConversationId };
    body: MarkUpTo;
    answer: Empty;
  };
  /** Pin, mute, archive, hide, mark as unread, keep a draft. Nobody else sees these settings. */
  'PATCH /api/v1/conversations/{conversation_id}/inbox': {
    path: { conversation_id: ConversationId };
    body: EditInbox;
    answer: Inbox;
  };
  /** List the invite links of a group. By whom `settings.add_members` allows it. */
  'GET /api/v1/conversations/{conversation_id}/invites': {
    path: { conversation_id: ConversationId };
    answer: GroupInvites;
  };
  /** Make an invite link for a group. By whom `settings.add_members` allows it. At most 100 that can be used; one more is `conflict`. The token is shown here only; what a link looks like is the client's matter. */
  'POST /api/v1/conversations/{conversation_id}/invites': {
    path: { conversation_id: ConversationId };
    body: CreateGroupInvite;
    answer: GroupInviteMade;
  };
  /** Revoke an invite link. By whom `settings.add_members` allows it. Twice gets the same answer. */
  'DELETE /api/v1/conversations/{conversation_id}/invites/{invite_id}': {
    path: { conversation_id: ConversationId; invite_id: string };
    answer: undefined;
  };
  /** List the members. With `query` a page may be shorter, also empty, while `next_cursor` is there: each call looks at 5,000 members. Case and marks do not count. */
  'GET /api/v1/conversations/{conversation_id}/members': {
    path: { conversation_id: ConversationId };
    query?: { query?: string; limit?: number; cursor?: string };
    answer: Members;
  };
  /** Add members to a group. By whom `settings.add_members` allows it. Each new member is one change of its own. */
  'POST /api/v1/conversations/{conversation_id}/members': {
    path: { conversation_id: ConversationId };
    body: AddMembers;
    answer: MembersAdded;
  };
  /** Change a member's role. By the owner. Giving `owner` to another hands the group over. */
  'PATCH /api/v1/conversations/{conversation_id}/members/{user_id}': {
    path: { conversation_id: ConversationId; user_id: UserRef };
    body: EditMember;
    answer: Changed;
  };
  /** Remove a member, or leave. Removing oneself is leaving. An owner hands the group over first (`conflict`); the last one out deletes it. */
  'DELETE /api/v1/conversations/{conversation_id}/members/{user_id}': {
    path: { conversation_id: ConversationId; user_id: UserRef };
    answer: Changed;
  };
  /** Read a page of messages. At most one of `before`, `after` and `around`; without any, the newest page. */
  'GET /api/v1/conversations/{conversation_id}/messages': {
    path: { conversation_id: ConversationId };
    query?: { limit?: number; before?: number; after?: number; around?: number; min_rev?: number };
    answer: MessagePage;
  };
  /** Send a message. The same `client_id` with the same payload gets the first result with 200, also after an edit; after a deletion with any payload. With another payload, `conflict`. */
  'POST /api/v1/conversations/{conversation_id}/messages': {
    path: { conversation_id: ConversationId };
    body: OutgoingMessage;
    answer: Message;
  };
  /** Edit a message. By its sender. The operator may limit how long after its sending; admins of groups always may. */
  'PATCH /api/v1/conversations/{conversation_id}/messages/{seq}': {
    path: { conversation_id: ConversationId; seq: number };
    body: EditContent;
    answer: Message;
  };
  /** Delete a message. For everyone: by its sender; in groups also by whom `settings.delete_messages` allows it. The operator may limit how long after its sending the sender may; admins always may. For me: by who may read it, and the answer is `{mark_rev, history}`. Twice gets the same answer. */
  'DELETE /api/v1/conversations/{conversation_id}/messages/{seq}': {
    path: { conversation_id: ConversationId; seq: number };
    query?: { for?: 'everyone' | 'me' };
    answer: Deleted;
  };
  /** Read what a message said before. What it said before, where the operator keeps that; else nothing. At most 100 are kept; deleting the message removes them. */
  'GET /api/v1/conversations/{conversation_id}/messages/{seq}/edits': {
    path: { conversation_id: ConversationId; seq: number };
    answer: Edits;
  };
  /** React to a message. */
  'PUT /api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}': {
    path: { conversation_id: ConversationId; seq: number; emoji: string };
    answer: Changed;
  };
  /** Take a reaction back. */
  'DELETE /api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}': {
    path: { conversation_id: ConversationId; seq: number; emoji: string };
    answer: Changed;
  };
  /** Read the answers to a message. The messages whose `reply_to` names it: the thread below it. */
  'GET /api/v1/conversations/{conversation_id}/messages/{seq}/replies': {
    path: { conversation_id: ConversationId; seq: number };
    query?: { limit?: number; after?: number };
    answer: Replies;
  };
  /** Read who has read a message. `forbidden` in groups that are `large`. Who does not tell, and for who does not tell anybody, is among those it was delivered to. */
  'GET /api/v1/conversations/{conversation_id}/messages/{seq}/seen': {
    path: { conversation_id: ConversationId; seq: number };
    answer: SeenBy;
  };
  /** Pinned messages. */
  'GET /api/v1/conversations/{conversation_id}/pins': {
    path: { conversation_id: ConversationId };
    answer: Pins;
  };
  /** Pin a message. In groups by whom `settings.pin` allows it. At most 100; one more is `conflict`. */
  'PUT /api/v1/conversations/{conversation_id}/pins/{seq}': {
    path: { conversation_id: ConversationId; seq: number };
    answer: Changed;
  };
  /** Take a pinned message down. In groups by whom `settings.pin` allows it. */
  'DELETE /api/v1/conversations/{conversation_id}/pins/{seq}': {
    path: { conversation_id: ConversationId; seq: number };
    answer: Changed;
  };
  /** Mark as read up to a message. Forward only, clamped to the newest message. Read implies delivered. */
  'POST /api/v1/conversations/{conversation_id}/read': {
    path: { conversation_id: ConversationId };
    body: MarkUpTo;
    answer: Empty;
  };
  /** List what was said with a user. Deleted messages stay, with empty text and `deleted`, so that offsets are arithmetic. */
  'GET /api/v1/dialog/{user_id}/list': {
    path: { user_id: UserRef };
    query?: { limit?: number; offset?: number };
    answer: DialogList;
  };
  /** Send text to a user. A view of the direct conversation with that user. The same `client_id` with the same text gets the first result with 200; with another text, `conflict`. */
  'POST /api/v1/dialog/{user_id}/send': {
    path: { user_id: UserRef };
    body: DialogSend;
    answer: DialogMessage;
  };
  /** Look where an invite link leads. A link that cannot be used (any more) is `not_found`. */
  'GET /api/v1/join/{token}': {
    path: { token: string };
    answer: JoinPreview;
  };
  /** Join a group by an invite link. As if somebody had added the caller; a member uses nothing up. A link that cannot be used (any more) is `not_found`, who is banned is `forbidden`, a full group is `conflict`. */
  'POST /api/v1/join/{token}': {
    path: { token: string };
    answer: Entry;
  };
  /** Read one's own profile. */
  'GET /api/v1/me': {
    answer: OwnProfile;
  };
  /** Change one's own profile. */
  'PATCH /api/v1/me': {
    body: EditProfile;
    answer: OwnProfile;
  };
  /** Download a file. The address is `url` of a file, with its signature; it needs no token. `Range`, `If-Range` and `If-None-Match` are understood; the answer may be kept for as long as the address is good. What a browser might run is a download of no type. */
  'GET /api/v1/media/file/{media_id}': {
    path: { media_id: string };
    query: { expires: string; signature: string };
    answer: undefined;
  };
  /** Download a small picture. The address is `thumbnail_url` of a file; as for the file itself. */
  'GET /api/v1/media/thumbnail/{media_id}': {
    path: { media_id: string };
    query: { expires: string; signature: string };
    answer: undefined;
  };
  /** Upload a file. The body is `multipart/form-data` with one part `file`. The type is found out from the bytes; the name of the part and the type it says only name the file, but what is said to be a picture, sound or film must be one (`unsupported_media`). Pictures are turned as they are to be seen and lose their metadata; damaged and overlong ones are refused, as are drawings (SVG) with scripts. */
  'POST /api/v1/media/upload': {
    answer: Media;
  };
  /** Begin an upload that may be interrupted. The protocol is tus 1.0.0 with its extensions creation, termination and expiration: every call has `Tus-Resumable: 1.0.0` (else 412), this one `Upload-Length` and perhaps `Upload-Metadata` with `filename` and `filetype`. The answer's `Location` is the upload; it is gone after a day. */
  'POST /api/v1/media/uploads': {
    answer: undefined;
  };
  /** Add bytes to an upload. The body is `application/offset+octet-stream`, `Upload-Offset` where it begins: `conflict` at another place, 423 while another call writes. What has come stays if the call is cut off; `HEAD` on the same path says in `Upload-Offset` how far that is. The last answer has the id of the file in `Media-Id`, and `HEAD` has it from then on. A file that is refused takes its upload with it. */
  'PATCH /api/v1/media/uploads/{upload_id}': {
    path: { upload_id: string };
    answer: undefined;
  };
  /** Give an upload up. */
  'DELETE /api/v1/media/uploads/{upload_id}': {
    path: { upload_id: string };
    answer: undefined;
  };
  /** Look a file up. For who uploaded it, and for who may read a message with it: with new addresses. */
  'GET /api/v1/media/{media_id}': {
    path: { media_id: string };
    answer: Media;
  };
  /** Read who is online, or was last. One for each user that was asked for, in that order; what is not for you to see, and who does not exist, is offline. */
  'GET /api/v1/presence': {
    query: { user_ids: string };
    answer: PresenceList;
  };
  /** Read what one wants to be told while away. */
  'GET /api/v1/push/settings': {
    answer: PushSettings;
  };
  /** Change what one wants to be told while away. Single conversations are muted in one's own view of them (`muted_until`). */
  'PATCH /api/v1/push/settings': {
    body: EditPushSettings;
    answer: PushSettings;
  };
  /** List one's own devices that are reached. */
  'GET /api/v1/push/subscriptions': {
    answer: PushSubscriptions;
  };
  /** Let this device be reached while away. It goes with the session. The same endpoint again renews its keys; one that was somebody else's is taken from there. Of more than 20 the oldest go. With a token of another system it lasts 60 days: subscribe again now and then. */
  'POST /api/v1/push/subscriptions': {
    body: Subscribe;
    answer: PushSubscription;
  };
  /** Silence a device, or let it be reached again. */
  'PATCH /api/v1/push/subscriptions/{subscription_id}': {
    path: { subscription_id: string };
    body: EditSubscription;
    answer: PushSubscription;
  };
  /** Forget a device. */
  'DELETE /api/v1/push/subscriptions/{subscription_id}': {
    path: { subscription_id: string };
    answer: undefined;
  };
  /** Read the key that devices subscribe with. For `applicationServerKey` of `PushManager.subscribe` in a browser. */
  'GET /api/v1/push/vapid-key': {
    answer: VapidPublicKey;
  };
  /** Find messages by their words. Every word must stand in the text, from the border of a word on: `foo` finds `foo.png`. Words in quotation marks must stand together. See docs/search.md. A message that was edited or deleted is found as it is now; a new one after a second or two. */
  'GET /api/v1/search': {
    query: { q: string; conversation_id?: string; from?: string; after?: number; before?: number; has?: 'attachment'; sort?: 'newest' | 'best'; cursor?: string; limit?: number };
    answer: SearchFound;
  };
  /** Find conversations of one's own list by name. Each word of the query must begin a word of the name; case and marks do not matter. A direct conversation has the names of the other user. */
  'GET /api/v1/search/conversations': {
    query: { q: string; limit?: number };
    answer: SearchConversations;
  };
  /** Read which conversations changed. */
  'GET /api/v1/sync': {
    query?: { cursor?: string; limit?: number };
    answer: Sync;
  };
  /** Find users by name. */
  'GET /api/v1/users': {
    query: { query: string; limit?: number };
    answer: Profiles;
  };
  /** Read many profiles at once. Ids that nobody has are left out. */
  'POST /api/v1/users/lookup': {
    body: LookupUsers;
    answer: Profiles;
  };
  /** Read a user's profile. */
  'GET /api/v1/users/{user_id}': {
    path: { user_id: UserRef };
    answer: Profile;
  };
  /** Open the WebSocket. `?ticket=` instead of the header for browsers. Frames: see docs/protocol.md. */
  'GET /api/v1/ws': {
    query?: { ticket?: string };
    answer: undefined;
  };
  /** Is it alive? */
  'GET /healthz': {
    answer: undefined;
  };
  /** Metrics, for users with the admin role; at the operators' own address, for whoever reaches it. */
  'GET /metrics': {
    answer: undefined;
  };
  /** The description of this API. */
  'GET /openapi.json': {
    answer: undefined;
  };
  /** Does it serve? */
  'GET /readyz': {
    answer: undefined;
  };
};

/** UTF-16 units of a message that a reply quotes; the most of a text; bytes of a client id. */
export const LIMITS = {
  client_id_bytes: 64,
  excerpt_units: 140,
  text_units: 10000,
} as const;

/** Refusals after which the very same request may succeed later. */
export const RETRYABLE: ReadonlySet<string> = new Set<ErrorCode>(['rate_limited', 'busy', 'shard_unavailable']);

/** What to do after the server closed a WebSocket. */
export const RECONNECT: Readonly<Record<number, Reconnect | undefined>> = {
  /** The server stops. Every pending answer was sent before. */
  1001: 'yes',
  /** A frame that could not be read, or a text frame where the sub-protocol says binary (or the other way round). */
  4400: 'no',
  /** The session was signed out or revoked. */
  4401: 'after_sign_in',
  /** Nothing was heard from the client for too long. */
  4408: 'yes',
  /** A frame above `max_frame_bytes`. */
  4413: 'no',
  /** The client kept sending far above its rate limit. */
  4429: 'yes',
  /** A fault of the server. */
  4500: 'yes',
  /** This node is taken out of service; others serve on. */
  4503: 'after_reason',
};

/** `after_reason`: after the delay in the close reason. */
export type Reconnect = 'yes' | 'after_reason' | 'after_sign_in' | 'no';
