// What users of this package import.

export { Client, type ClientOptions, type Saying } from './client.ts';
export type { ClientEvent } from './device/desk.ts';
export type { Marks } from './device/members.ts';
export type { Options } from './device/options.ts';
export type { Row } from './device/rows.ts';
export { activeAt, type ChatLine, type Pending, type Snapshot } from './device/snapshot.ts';
export * from './generated/wire.ts';
export { type Access, Api, ApiError } from './net/api.ts';
export { directConversation, usersOfDirect } from './net/ids.ts';
export { browserPlatform, type Platform, type Socket } from './net/platform.ts';
export { register, signIn } from './sign-in.ts';
export { IndexedDbStorage } from './storage/indexeddb.ts';
export { MemoryStorage } from './storage/memory.ts';
export type { Storage, Stored, Write } from './storage/storage.ts';
