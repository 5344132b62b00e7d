// A signed-in device with everything it needs: it owns a `Device`, reads the socket, makes the calls,
// keeps the storage, waits where it must. It decides when something is tried again, never what.

import { ask, askedDelay, type Question, refusal, topicOf } from './calls.ts';
import type { ClientEvent, Output, Request } from './device/desk.ts';
import { Device } from './device/device.ts';
import { DEFAULTS, type Options } from './device/options.ts';
import type { Outgoing } from './device/outbox.ts';
import type { ChatLine, Snapshot } from './device/snapshot.ts';
import type { ClientFrames } from './generated/wire.ts';
import { type Access, Api } from './net/api.ts';
import { backOff } from './net/back-off.ts';
import { Connection, type WireFrame } from './net/connection.ts';
import { directConversation } from './net/ids.ts';
import { browserPlatform, type Platform } from './net/platform.ts';
import { Saver } from './saver.ts';
import { MemoryStorage } from './storage/memory.ts';
import type { Storage } from './storage/storage.ts';

/** Calls that one client makes at once. */
const CALLS_MAX = 8;

export type ClientOptions = Access &
  Partial<Options> & {
    /** Whose device it is; sign-in says it. */
    userId: number;
    /** Of this account only. None: memory. */
    storage?: Storage;
    platform?: Platform;
    /** This connection does not make the user look online. */
    background?: boolean;
    /** Most time between heartbeats, in milliseconds; the server may ask for less. */
    heartbeatMs?: number;
  };

/** What is said: a text, or a message with all its parts but its id. */
export type Saying = string | Omit<ClientFrames['send_message'], 'conversation_id' | 'to' | 'client_id'>;

/** A call under way or waiting. `stop` ends either. */
type UnderWay = { request: Question; stop: () => void; resting: boolean };

export class Client {
  readonly api: Api;
  readonly userId: number;
  readonly #platform: Platform;
  readonly #device: Device;
  readonly #saver: Saver;
  readonly #connection: Connection;
  readonly #listeners = new Set<(event: ClientEvent) => void>();
  readonly #underWay = new Map<number, UnderWay>();
  /** Calls that wait for a free place. */
  readonly #queue: number[] = [];
  #calls = 0;
  readonly #failures = new Map<string, number>();
  readonly #holds = new Set<() => void>();
  readonly #whenLevel: (() => void)[] = [];
  #stepping = false;
  #stopped = false;

  /** Goes on where the storage stands; the chat list is there at once, the server follows. */
  static async open(options: ClientOptions): Promise<Client> {
    let storage = options.storage ?? new MemoryStorage();
    let failure: unknown;
    let client: Client;
    try {
      const stored = await storage.load();
      client = new Client(options, storage);
      if (!client.#device.restore(stored) && stored.meta) {
        // Another layout, or another account's: two never mix.
        await storage.erase();
      }
    } catch (error) {
      failure = error;
      storage = new MemoryStorage();
      client = new Client(options, storage);
    }
    client.#connection.start();
    if (failure !== undefined) {
      // Told when somebody can listen.
      client.#platform.after(0, () => client.#tell({ type: 'storage_failed', reason: String(failure) }));
    }
    return client;
  }

  private constructor(options: ClientOptions, storage: Storage) {
    const { url, token, userId, platform = browserPlatform(), background = false, heartbeatMs } = options;
    this.#platform = platform;
    this.api = new Api({ url, token }, platform);
    this.userId = userId;
    this.#device = new Device(userId, { ...DEFAULTS, ...options });
    const failed = (error: unknown) => {
      this.#tell({ type: 'storage_failed', reason: String(error) });
      this.#do((device) => device.storageLost());
    };
    this.#saver = new Saver(storage, () => this.#device.takeWrites(), failed);
    const user = {
      frame: (frame: WireFrame) => this.#do((device) => device.frame(frame)),
      lost: () => this.#do((device) => device.disconnected()),
      ended: (why: ClientEvent) => this.#tell(why),
    };
    this.#connection = new Connection(this.api, platform, user, { background, heartbeatMs });
  }

  /** Calls `listener` for every event, until the answer is called. */
  on(listener: (event: ClientEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether events flow. */
  get connected(): boolean {
    return this.#device.connected;
  }

  /** Whether everything heard of is held, everything said is durable, and nothing is under way. */
  get level(): boolean {
    return this.#device.level;
  }

  /** Through when it is level. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.level) {
        resolve();
        return;
      }
      this.#whenLevel.push(resolve);
    });
  }

  /** The chat list, latest activity first. */
  chatList(): ChatLine[] {
    return this.#device.chatList();
  }

  /** What is shown of a conversation; `undefined` for one that was never heard of. */
  snapshot(conversation: string): Snapshot | undefined {
    return this.#device.snapshot(conversation);
  }

  /** The user looks at a conversation: at its newest messages, or at a position: a seq, or a time in
   * seconds or milliseconds. Its messages are loaded and kept up to date. */
  open(conversation: string, position?: number): void {
    this.#do((device) => device.open(conversation, position));
  }

  /** The user looks away. */
  close(conversation: string): void {
    this.#do((device) => device.close(conversation));
  }

  /** Loads a page before what is shown; false when there is none or one is on its way. */
  loadOlder(conversation: string): boolean {
    return this.#do((device) => device.loadMore(conversation, 'before'));
  }

  /** Loads a page after what is shown; false when there is none or one is on its way. */
  loadNewer(conversation: string): boolean {
    return this.#do((device) => device.loadMore(conversation, 'after'));
  }

  /** Says something in a conversation. The answer is its client id: it is pending under it at once, and
   * the message that takes its place has the same. */
  send(conversation: string, saying: Saying): string {
    return this.#say(conversation, { conversation_id: conversation }, saying);
  }

  /** Says something to a user; the direct conversation begins with it. */
  sendTo(user: number, saying: Saying): { conversation: string; clientId: string } {
    const conversation = directConversation(this.userId, user);
    return { conversation, clientId: this.#say(conversation, { to: user }, saying) };
  }

  #say(conversation: string, target: { conversation_id: string } | { to: number }, saying: Saying): string {
    const message = typeof saying === 'string' ? { content: saying } : saying;
    const client_id = this.#platform.newId();
    this.#push(conversation, { type: 'send_message', data: { ...target, ...message, client_id } });
    return client_id;
  }

  /** Changes what one said; with `ifContentRev` only if nobody else did meanwhile. */
  edit(conversation: string, seq: number, content: string, ifContentRev?: number): void {
    const condition = ifContentRev === undefined ? {} : { if_content_rev: ifContentRev };
    const data = { conversation_id: conversation, seq, content, ...condition };
    this.#push(conversation, { type: 'edit_message', data });
  }

  /** Deletes a message for everyone. */
  delete(conversation: string, seq: number): void {
    this.#push(conversation, { type: 'delete_message', data: { conversation_id: conversation, seq } });
  }

  /** Adds one's own reaction, or takes it away. */
  react(conversation: string, seq: number, emoji: string, remove = false): void {
    this.#push(conversation, { type: 'react', data: { conversation_id: conversation, seq, emoji, remove } });
  }

  #push(conversation: string, command: Outgoing): void {
    this.#do((device) => device.push(conversation, command, this.#platform.now()));
  }

  /** Everything up to a message is read. */
  markRead(conversation: string, seq: number): void {
    this.#do((device) => device.markRead(conversation, seq));
  }

  /** Tries a failed send again, under the same client id; false when there is none. */
  retry(conversation: string, clientId: string): boolean {
    return this.#do((device) => device.retry(conversation, clientId));
  }

  /** Gives a failed send up; false when there is none. */
  discard(conversation: string, clientId: string): boolean {
    return this.#do((device) => device.discard(conversation, clientId));
  }

  /** Sends a frame that needs no answer and is of no use later, such as typing. Without a connection it
   * is let go. */
  tell<T extends keyof ClientFrames>(type: T, data: ClientFrames[T]): void {
    this.#connection.send({ type, data });
  }

  /** The network may be back: does not wait for the next try. */
  hurry(): void {
    this.#connection.hurry();
  }

  /** Ends the connection; what is to be stored is stored when this is through. */
  async stop(): Promise<void> {
    this.#end();
    await this.#saver.settled();
    await this.#saver.close();
  }

  /** Signs this session out and erases what is stored. Without a connection the session lives on at the
   * server, but nothing of it is left here. */
  async signOut(): Promise<void> {
    this.#end();
    await Promise.allSettled([this.#saver.erase(), this.api.call('POST /api/v1/auth/logout')]);
    await this.#saver.close();
  }

  #end(): void {
    this.#stopped = true;
    this.#connection.stop();
    for (const { stop } of this.#underWay.values()) {
      stop();
    }
    for (const stop of this.#holds) {
      stop();
    }
  }

  /** Changes the device and does what it then wants done. */
  #do<T>(change: (device: Device) => T): T {
    const result = change(this.#device);
    this.#step();
    return result;
  }

  #step(): void {
    // A listener may ask for more while it is being told: the loop below takes it up.
    if (this.#stepping || this.#stopped) {
      return;
    }
    this.#stepping = true;
    try {
      for (let outputs = this.#device.takeOutputs(); outputs.length > 0; outputs = this.#device.takeOutputs()) {
        for (const output of outputs) {
          this.#carryOut(output);
        }
      }
    } finally {
      this.#stepping = false;
    }
    this.#saver.save();
    if (this.#whenLevel.length > 0 && this.level) {
      for (const resolve of this.#whenLevel.splice(0)) {
        resolve();
      }
    }
  }

  #carryOut(output: Output): void {
    if (output.kind === 'ask') {
      this.#ask(output.id, output.request);
    } else if (output.kind === 'cancel') {
      this.#underWay.get(output.id)?.stop();
      this.#underWay.delete(output.id);
    } else if (output.kind === 'frame') {
      this.#connection.send(output.frame);
    } else if (output.kind === 'notify') {
      if (output.event.type === 'connected') {
        this.#wakeResting();
      }
      this.#tell(output.event);
    } else {
      const { conversation, attempt, retryAfterMs } = output;
      this.#hold(this.#delay(attempt, retryAfterMs), () => this.#do((device) => device.release(conversation)));
    }
  }

  #tell(event: ClientEvent): void {
    if (event.type === 'signed_out') {
      this.#connection.stop();
    }
    for (const listener of this.#listeners) {
      listener(event);
    }
  }

  #ask(id: number, request: Request): void {
    if (request.kind === 'wake') {
      const { conversation } = request;
      this.#saver
        .read((storage) => storage.read(conversation))
        .then((whole) => {
          this.#do((device) => device.answer(id, whole));
        });
      return;
    }
    this.#underWay.set(id, { request, stop: () => undefined, resting: false });
    this.#queue.push(id);
    this.#next();
  }

  /** Makes the calls for which there is a place. */
  #next(): void {
    while (this.#calls < CALLS_MAX) {
      const id = this.#queue.shift();
      if (id === undefined) {
        return;
      }
      const underWay = this.#underWay.get(id);
      if (underWay) {
        void this.#call(id, underWay);
      }
    }
  }

  async #call(id: number, underWay: UnderWay): Promise<void> {
    const { request } = underWay;
    const abort = new AbortController();
    underWay.stop = () => abort.abort();
    this.#calls += 1;
    let answer: unknown;
    let failure: unknown;
    try {
      answer = await ask(this.api, request, abort.signal);
    } catch (error) {
      failure = error ?? new Error('no answer');
    }
    this.#calls -= 1;
    this.#next();
    if (this.#underWay.get(id) !== underWay || this.#stopped) {
      return;
    }
    if (failure === undefined) {
      this.#underWay.delete(id);
      this.#failures.delete(topicOf(request));
      this.#do((device) => device.answer(id, answer));
    } else {
      this.#failed(id, underWay, failure);
    }
  }

  /** A call failed: for good, or to be tried again after a while. */
  #failed(id: number, underWay: UnderWay, failure: unknown): void {
    const final = refusal(failure);
    if (final) {
      this.#underWay.delete(id);
      this.#do((device) => device.failed(id, final));
      return;
    }
    const topic = topicOf(underWay.request);
    const failures = this.#failures.get(topic) ?? 0;
    this.#failures.set(topic, failures + 1);
    underWay.resting = true;
    underWay.stop = this.#hold(this.#delay(failures, askedDelay(failure)), () => this.#again(id));
  }

  #again(id: number): void {
    if (this.#underWay.delete(id)) {
      this.#do((device) => device.failed(id, undefined));
    }
  }

  /** The server is back: what waited for it waits no longer. */
  #wakeResting(): void {
    this.#failures.clear();
    for (const [id, { resting, stop }] of [...this.#underWay]) {
      if (resting) {
        stop();
        this.#again(id);
      }
    }
  }

  #delay(failures: number, askedMs: number | undefined): number {
    return backOff(failures, askedMs, () => this.#platform.random());
  }

  #hold(ms: number, then: () => void): () => void {
    const cancel = this.#platform.after(ms, () => {
      this.#holds.delete(stop);
      then();
    });
    const stop = () => {
      this.#holds.delete(stop);
      cancel();
    };
    this.#holds.add(stop);
    return stop;
  }
}
