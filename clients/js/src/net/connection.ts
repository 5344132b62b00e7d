// One device's WebSocket: opened with a ticket, kept alive, opened again after it was lost.
// Decides when there is a connection, never what is said over it.
//
// Safety: frames of an old socket never arrive after those of a new one; `lost` is told once for each
// `hello`. Liveness: while started and not ended, another opening is always on its way.

import { RECONNECT } from '../generated/wire.ts';
import { type Api, ApiError } from './api.ts';
import { backOff } from './back-off.ts';
import type { Platform, Socket } from './platform.ts';

const PROTOCOL = 'ostracon.v1.json';
/** A heartbeat is sent at least this often, whatever `hello` says. */
const HEARTBEAT_MS = 30_000;
/** More often than any server needs. */
const HEARTBEAT_MIN_MS = 50;
/** A socket without `hello` by then is given up. */
const PATIENCE_MS = 20_000;
/** A command without an answer for so many heartbeats means that the socket is not what it seems. */
const UNANSWERED_BEATS = 2;
const OPEN = 1;
const DELAY_PREFIX = 'retry_after_ms=';

/** A frame as it stands on the wire. */
export type WireFrame = { type: string; id?: number | string | null; data: Record<string, unknown> };

export interface ConnectionUser {
  frame(frame: WireFrame): void;
  /** The socket is gone; another one is on its way unless `ended` follows. */
  lost(): void;
  /** There will be no socket any more. */
  ended(why: { type: 'signed_out' } | { type: 'stopped'; reason: string }): void;
}

export type ConnectionOptions = {
  /** This connection does not make the user look online. */
  background: boolean;
  /** Most time between heartbeats; the server may ask for less. */
  heartbeatMs: number | undefined;
};

export class Connection {
  readonly #api: Api;
  readonly #platform: Platform;
  readonly #user: ConnectionUser;
  readonly #options: ConnectionOptions;
  /** Each opening has its own number; what belongs to another one is not heard. */
  #opening = 0;
  #over = true;
  #socket: Socket | undefined;
  #failures = 0;
  #stopTimer: (() => void) | undefined;
  /** Waiting before an opening. */
  #waiting = false;
  #heard = false;
  /** References of commands without an answer, and the heartbeats since. */
  #unanswered = new Map<number | string, number>();

  constructor(api: Api, platform: Platform, user: ConnectionUser, options: ConnectionOptions) {
    this.#api = api;
    this.#platform = platform;
    this.#user = user;
    this.#options = options;
  }

  start(): void {
    this.#over = false;
    this.#open();
  }

  /** No socket from now on. Nothing is told any more. */
  stop(): void {
    this.#over = true;
    this.#drop();
  }

  /** The network may be back: waiting for the next opening ends now. */
  hurry(): void {
    if (this.#waiting) {
      this.#stopTimer?.();
      this.#open();
    }
  }

  /** Without a socket the frame is nowhere; whoever said it says it again after `hello`. */
  send(frame: { type: string; id?: number | undefined; data: unknown }): void {
    if (this.#socket?.readyState === OPEN) {
      if (frame.id !== undefined) {
        this.#unanswered.set(frame.id, 0);
      }
      this.#socket.send(JSON.stringify(frame));
    }
  }

  #open(): void {
    this.#waiting = false;
    this.#opening += 1;
    const opening = this.#opening;
    this.#timer(PATIENCE_MS, () => this.#lost(undefined, ''));
    this.#api.call('POST /api/v1/auth/ticket').then(
      ({ ticket }) => {
        if (opening === this.#opening) {
          this.#connect(opening, ticket);
        }
      },
      (error: unknown) => {
        if (opening === this.#opening) {
          this.#refused(error);
        }
      },
    );
  }

  #refused(error: unknown): void {
    if (error instanceof ApiError && error.error.code === 'unauthorized') {
      this.#end({ type: 'signed_out' });
    } else {
      const asked = error instanceof ApiError ? error.error.retry_after_ms : null;
      this.#lost(undefined, asked === null ? '' : `${DELAY_PREFIX}${asked}`);
    }
  }

  #connect(opening: number, ticket: string): void {
    const base = this.#api.access.url || location.origin;
    const background = this.#options.background ? '&background=1' : '';
    const url = `${base.replace(/^http/, 'ws')}/api/v1/ws?ticket=${encodeURIComponent(ticket)}${background}`;
    const socket = this.#platform.openSocket(url, PROTOCOL);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (opening === this.#opening) {
        this.#received(String(data));
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (opening === this.#opening) {
        this.#lost(code, reason);
      }
    };
  }

  #received(text: string): void {
    this.#heard = true;
    let frame: WireFrame;
    try {
      frame = JSON.parse(text) as WireFrame;
    } catch {
      // Of a later version: its effect is found again by its rev.
      return;
    }
    if (frame.type === 'hello') {
      this.#failures = 0;
      const asked = Number(frame.data.heartbeat_s) * 1000 || HEARTBEAT_MS;
      const most = Math.min(HEARTBEAT_MS, this.#options.heartbeatMs ?? HEARTBEAT_MS);
      this.#beat(Math.max(HEARTBEAT_MIN_MS, Math.min(asked, most)));
    }
    if (frame.id != null) {
      this.#unanswered.delete(frame.id);
    }
    this.#user.frame(frame);
  }

  #beat(ms: number): void {
    this.#timer(ms, () => {
      for (const [id, beats] of this.#unanswered) {
        this.#unanswered.set(id, beats + 1);
        this.#heard &&= beats < UNANSWERED_BEATS;
      }
      if (!this.#heard) {
        this.#lost(undefined, '');
        return;
      }
      this.#heard = false;
      this.send({ type: 'heartbeat', data: {} });
      this.#beat(ms);
    });
  }

  #lost(code: number | undefined, reason: string): void {
    const advice = code === undefined ? 'yes' : (RECONNECT[code] ?? 'yes');
    if (advice === 'after_sign_in') {
      this.#end({ type: 'signed_out' });
      return;
    }
    if (advice === 'no') {
      this.#end({ type: 'stopped', reason: `closed with ${code} ${reason}` });
      return;
    }
    this.#drop();
    const asked = reason.startsWith(DELAY_PREFIX) ? Number(reason.slice(DELAY_PREFIX.length)) : Number.NaN;
    const askedMs = Number.isFinite(asked) ? asked : undefined;
    const delay = backOff(this.#failures, askedMs, () => this.#platform.random());
    this.#failures += 1;
    this.#waiting = true;
    this.#timer(delay, () => this.#open());
    this.#user.lost();
  }

  #end(why: { type: 'signed_out' } | { type: 'stopped'; reason: string }): void {
    this.stop();
    this.#user.lost();
    this.#user.ended(why);
  }

  /** Lets the socket go; nothing of it is heard any more. */
  #drop(): void {
    this.#opening += 1;
    this.#waiting = false;
    this.#stopTimer?.();
    this.#unanswered.clear();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      // Closing one that is still opening is an error in some runtimes, told by this.
      socket.onerror = () => undefined;
      socket.close(1000);
    }
  }

  /** One timer at a time: for patience, for the next heartbeat, or for the next opening. */
  #timer(ms: number, then: () => void): void {
    this.#stopTimer?.();
    const stop = this.#platform.after(ms, () => {
      if (!this.#over) {
        then();
      }
    });
    this.#stopTimer = stop;
  }
}
