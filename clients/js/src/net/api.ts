// REST calls, typed by the generated table of operations.

import type { Operations, Error as WireError } from '../generated/wire.ts';
import type { Platform } from './platform.ts';

/** Where the server is, and who asks. */
export type Access = {
  /** `https://chat.example.org`, without a path at its end; empty: where the page came from. */
  url: string;
  /** Of sign-in, or of your own system; none: the session cookie of the browser. */
  token?: string | undefined;
};

/** Path, query and body of a call; what it does not have cannot be given. */
export type CallOptions<O> = Omit<O, 'answer'> & { signal?: AbortSignal };
/** A call without required parts needs no options. */
type Rest<O> = Partial<CallOptions<O>> extends CallOptions<O> ? [options?: CallOptions<O>] : [options: CallOptions<O>];
export type Answer<K extends keyof Operations> = Operations[K]['answer'];

/** The server refused a call. */
export class ApiError extends Error {
  readonly status: number;
  readonly error: WireError;

  constructor(status: number, error: WireError) {
    super(`${error.code}: ${error.message}`);
    this.name = 'ApiError';
    this.status = status;
    this.error = error;
  }
}

export class Api {
  readonly access: Access;
  readonly #platform: Platform;

  constructor(access: Access, platform: Platform) {
    this.access = access;
    this.#platform = platform;
  }

  /** Makes a call. Rejects with `ApiError` when it is refused, with something else when it is lost. */
  async call<K extends keyof Operations>(name: K, ...rest: Rest<Operations[K]>): Promise<Answer<K>> {
    const options = (rest[0] ?? {}) as {
      path?: Record<string, unknown>;
      query?: Record<string, unknown>;
      body?: unknown;
      signal?: AbortSignal;
    };
    const [method = '', template = ''] = name.split(' ');
    const path = template.replaceAll(/\{(\w+)\}/g, (_, part: string) =>
      encodeURIComponent(String(options.path?.[part])),
    );
    const query = Object.entries(options.query ?? {}).filter(([, value]) => value !== undefined);
    const search = query.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join('&');
    const url = `${this.access.url}${path}${search && `?${search}`}`;
    const headers: Record<string, string> = {};
    if (this.access.token !== undefined) {
      headers.authorization = `Bearer ${this.access.token}`;
    }
    const init: RequestInit = { method, headers, signal: options.signal ?? null };
    if (options.body instanceof FormData) {
      init.body = options.body;
    } else if (options.body !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(options.body);
    }
    const response = await this.#platform.fetch(url, init);
    const text = await response.text();
    if (!response.ok) {
      throw refusal(response, text);
    }
    return (text ? JSON.parse(text) : undefined) as Answer<K>;
  }
}

/** Something between here and the server may have answered in its stead: then it is not for good. */
function refusal(response: Response, text: string): ApiError {
  try {
    const { error } = JSON.parse(text) as { error: WireError };
    if (typeof error?.code === 'string') {
      return new ApiError(response.status, error);
    }
  } catch {
    // Not from the server itself.
  }
  const message = `status ${response.status}`;
  return new ApiError(response.status, { code: 'busy', message, retry_after_ms: null, details: {} });
}
