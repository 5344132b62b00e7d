// How a device works. Limits are those of its requests.

export type Options = {
  /** Messages of a page, 1 to 200. */
  pageLimit: number;
  /** Rows of one answer of `changes`, 1 to 1,000. */
  changesLimit: number;
  /** Conversations of one answer of `/sync`, 1 to 1,000. */
  syncLimit: number;
  /**
   * Commands of one conversation under way at once. With more than one, a refused send can be
   * overtaken by a later one that was already under way.
   */
  sendWindow: number;
  /** Load the members of a conversation that is opened, unless it is large. */
  members: boolean;
  /** After a reconnect, ask for the marks of others where a conversation is open. */
  marks: boolean;
  /** Mark new messages as delivered. */
  autoDelivered: boolean;
  /** Newest messages of each conversation that stay stored when nobody looks at it. */
  cachedMessages: number;
  /** Conversations kept in memory that nobody looks at. */
  awake: number;
};

export const DEFAULTS: Readonly<Options> = {
  pageLimit: 50,
  changesLimit: 500,
  syncLimit: 200,
  sendWindow: 1,
  members: true,
  marks: true,
  autoDelivered: true,
  cachedMessages: 500,
  awake: 32,
};
