// Makes the calls that a device asks for. One attempt each; waiting and trying again is decided by the
// client.

import type { Request } from './device/desk.ts';
import { RETRYABLE, type Error as WireError } from './generated/wire.ts';
import { type Api, ApiError } from './net/api.ts';

/** A question to the server. */
export type Question = Exclude<Request, { kind: 'wake' }>;

export function ask(api: Api, request: Question, signal: AbortSignal): Promise<unknown> {
  if (request.kind === 'sync') {
    const { cursor, limit } = request;
    return api.call('GET /api/v1/sync', { query: { limit, ...(cursor === undefined ? {} : { cursor }) }, signal });
  }
  const path = { conversation_id: request.conversation };
  if (request.kind === 'page') {
    const { newest: _, ...anchor } = { newest: true, ...request.anchor };
    const query = { limit: request.limit, ...anchor };
    return api.call('GET /api/v1/conversations/{conversation_id}/messages', { path, query, signal });
  }
  if (request.kind === 'members') {
    const query = request.cursor === undefined ? {} : { cursor: request.cursor };
    return api.call('GET /api/v1/conversations/{conversation_id}/members', { path, query, signal });
  }
  const { sinceRev: since_rev, sinceMark: since_mark, history, limit } = request;
  const query = { since_rev, since_mark, limit, ...(history === undefined ? {} : { history }) };
  return api.call('GET /api/v1/conversations/{conversation_id}/changes', { path, query, signal });
}

/** What a request is about: failures in a row are counted by it. */
export function topicOf(request: Question): string {
  return request.kind === 'sync' ? 'sync' : `${request.kind} ${request.conversation}`;
}

/** The refusal that is final; `undefined` when the call may be tried again. A fault of the server may
 * pass, so may an answer that cannot be read. */
export function refusal(error: unknown): WireError | undefined {
  const again = !(error instanceof ApiError) || RETRYABLE.has(error.error.code) || error.error.code === 'internal';
  return again ? undefined : error.error;
}

/** What the server asked to wait for, in milliseconds. */
export function askedDelay(error: unknown): number | undefined {
  return error instanceof ApiError ? (error.error.retry_after_ms ?? undefined) : undefined;
}
