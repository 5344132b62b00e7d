// The seam to whatever keeps a device's state between visits. One storage belongs to one account.
//
// What is written in one batch is either there as a whole or not at all, and batches land in their
// order: then what `load` and `read` give is always a state that the device once was in, and the rules
// of positions bring it to the present.

import type { StoredConversation, StoredWhole } from '../device/conversation.ts';
import type { StoredListing } from '../device/listing.ts';
import type { StoredMembers } from '../device/members.ts';
import type { StoredQueue } from '../device/outbox.ts';
import type { Row } from '../device/rows.ts';

/** Number of the layout; what another number wrote is erased, because the server has it all. */
export const VERSION = 1;

export type StoredMeta = { version: number; userId: number; listing: StoredListing };

/** What is needed to start: everything but messages and members. */
export type Stored = {
  meta: StoredMeta | undefined;
  conversations: StoredConversation[];
  queues: StoredQueue[];
};

/** One change. `undefined` as value removes. */
export type Write =
  | { table: 'meta'; value: StoredMeta }
  | { table: 'conversations'; id: string; value: StoredConversation | undefined }
  | { table: 'members'; id: string; value: StoredMembers | undefined }
  | { table: 'queues'; id: string; value: StoredQueue | undefined }
  | { table: 'messages'; id: string; seq: number; value: Row | undefined }
  /** Every message of a conversation goes. */
  | { table: 'messages'; id: string; seq: 'all'; value: undefined };

export interface Storage {
  load(): Promise<Stored>;
  /** One conversation as of one moment; `undefined` when nothing of it is stored. */
  read(id: string): Promise<StoredWhole | undefined>;
  /** All of it or nothing. Values may be kept as they are; they never change afterwards. */
  write(batch: readonly Write[]): Promise<void>;
  /** Nothing of this account stays. The storage may be used again afterwards, as an empty one. */
  erase(): Promise<void>;
  close(): void;
}
