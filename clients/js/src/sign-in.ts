// Signing in, before there is a client.

import type { Operations, SignedIn } from './generated/wire.ts';
import { Api } from './net/api.ts';
import { browserPlatform, type Platform } from './net/platform.ts';

/** A new account and its first session. Rejects with `ApiError` when the name is taken. */
export function register(
  url: string,
  account: Operations['POST /api/v1/auth/register']['body'],
  platform: Platform = browserPlatform(),
): Promise<SignedIn> {
  return new Api({ url }, platform).call('POST /api/v1/auth/register', { body: account });
}

/** A new session. Rejects with `ApiError` when name or password is wrong. */
export function signIn(
  url: string,
  account: Operations['POST /api/v1/auth/login']['body'],
  platform: Platform = browserPlatform(),
): Promise<SignedIn> {
  return new Api({ url }, platform).call('POST /api/v1/auth/login', { body: account });
}
