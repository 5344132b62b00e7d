// People with devices, who do random things over networks that fail.

import { Client, MemoryStorage, register, type SignedIn, type Storage, signIn } from '../../src/index.ts';
import type { Chance } from '../support/chance.ts';
import { CALM, type Faults, Network } from '../support/faults.ts';
import type { Server } from '../support/server.ts';
import { TornStorage } from '../support/storage.ts';
import { compare, type Truth, truthOf } from '../support/truth.ts';

const NAMES = ['alice', 'bob', 'carol', 'dave'];
const DEVICES = 2;
/** Long enough for a busy machine to answer: a socket on which nothing is heard that long is given up. */
const HEARTBEAT_MS = 500;
const PASSWORD = 'correct horse';
/** How long everything may take to become level once the network is calm. */
const LEVEL_MS = 20_000;
const LOOK_AGAIN_MS = 25;

/** Small, so that pages, cuts of `changes` and sleeping happen all the time. */
const OPTIONS = {
  pageLimit: 7,
  changesLimit: 5,
  syncLimit: 3,
  cachedMessages: 20,
  awake: 2,
  heartbeatMs: HEARTBEAT_MS,
};

export type Kept = (account: string) => Storage;

export const inMemory: Kept = () => new MemoryStorage();

/** One browser of one person. */
export class DeviceUnderTest {
  readonly user: Person;
  readonly storage: Storage;
  readonly network: Network;
  readonly #url: string;
  readonly #token: string;
  #torn: TornStorage;
  client!: Client;
  /** What this device said, by conversation, in order. */
  readonly said = new Map<string, string[]>();
  /** What was refused for good. */
  readonly refused = new Set<string>();

  constructor(user: Person, url: string, token: string, storage: Storage, network: Network) {
    this.user = user;
    this.storage = storage;
    this.network = network;
    this.#url = url;
    this.#token = token;
    this.#torn = new TornStorage(storage);
  }

  async begin(): Promise<void> {
    const { network, storage } = this;
    this.#torn = new TornStorage(storage);
    const options = { ...OPTIONS, url: this.#url, token: this.#token, userId: this.user.id };
    this.client = await Client.open({ ...options, storage: this.#torn, platform: network.platform });
    this.client.on((event) => {
      if (event.type === 'send_failed') {
        this.refused.add(event.clientId);
        this.client.discard(event.conversation, event.clientId);
      } else if (event.type === 'storage_failed' || event.type === 'stopped' || event.type === 'signed_out') {
        throw new Error(`unexpected: ${JSON.stringify(event)}`);
      }
    });
  }

  /** Closed in good order, or torn away in the middle of things; then opened again. */
  async reload(orderly: boolean): Promise<void> {
    if (orderly) {
      await this.client.stop();
    } else {
      const written = this.#torn.tear();
      void this.client.stop();
      await written;
      this.#forgetUnwritten(await this.storage.load());
    }
    await this.begin();
  }

  /** What was said and neither stored nor sent is lost with the tab; it may have been sent all the same. */
  #forgetUnwritten(stored: Awaited<ReturnType<Storage['load']>>): void {
    const waiting = new Set<string>();
    for (const { items } of stored.queues) {
      for (const { command } of items) {
        if (command.type === 'send_message' && command.data.client_id != null) {
          waiting.add(command.data.client_id);
        }
      }
    }
    for (const ids of this.said.values()) {
      for (const id of ids) {
        if (!waiting.has(id)) {
          this.perhaps.add(id);
        }
      }
    }
  }

  /** Client ids of which it is not sure that they were sent. */
  readonly perhaps = new Set<string>();

  say(conversation: string, clientId: string): void {
    this.said.set(conversation, [...(this.said.get(conversation) ?? []), clientId]);
  }
}

export type Person = { name: string; id: number; devices: DeviceUnderTest[]; signedIn: SignedIn };

export class World {
  readonly server: Server;
  readonly people: Person[] = [];
  readonly groups: string[] = [];
  readonly chance: Chance;
  readonly #faults: Faults;

  private constructor(server: Server, chance: Chance, faults: Faults) {
    this.server = server;
    this.chance = chance;
    this.#faults = faults;
  }

  static async begin(server: Server, chance: Chance, faults: Faults, keep: Kept): Promise<World> {
    const world = new World(server, chance, faults);
    let ids = 0;
    const run = chance
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
    const newId = () => `00000000-0000-4000-8000-${run}${(ids++).toString(16).padStart(4, '0')}`;
    for (const name of NAMES) {
      const username = `${name}-${run}`;
      const signedIn = await register(server.url, { username, password: PASSWORD });
      const person: Person = { name, id: signedIn.user.user_id, devices: [], signedIn };
      for (let at = 0; at < DEVICES; at += 1) {
        const { token } = await signIn(server.url, { username, password: PASSWORD });
        const network = new Network(faults, chance.fork(), newId);
        const device = new DeviceUnderTest(person, server.url, token, keep(`${run}:${name}:${at}`), network);
        await device.begin();
        person.devices.push(device);
      }
      world.people.push(person);
    }
    return world;
  }

  get devices(): DeviceUnderTest[] {
    return this.people.flatMap((person) => person.devices);
  }

  /** The network works from now on, and everybody is there. */
  calm(): void {
    for (const { network, client } of this.devices) {
      network.faults = CALM;
      network.offline = false;
      client.hurry();
    }
  }

  storm(): void {
    for (const { network } of this.devices) {
      network.faults = this.#faults;
    }
  }

  /** Every device comes to what the server has, in bounded time. */
  async check(): Promise<void> {
    this.calm();
    for (const person of this.people) {
      for (const device of person.devices) {
        await this.#checkDevice(device);
      }
    }
  }

  async #checkDevice(device: DeviceUnderTest): Promise<void> {
    const end = Date.now() + LEVEL_MS;
    for (;;) {
      try {
        if (!device.client.level) {
          throw new Error('not level');
        }
        await flushed(device);
        const truth = await truthOf(device.client.api);
        await compare(device.client, device.storage, truth);
        said(device, truth);
        return;
      } catch (error) {
        if (Date.now() > end) {
          throw new Error(`${device.user.name}, device ${device.user.devices.indexOf(device)}`, { cause: error });
        }
        await new Promise((done) => setTimeout(done, LOOK_AGAIN_MS));
      }
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.client.stop()));
  }
}

/** Writes reach the storage one after another; a few turns later they are there. */
async function flushed(device: DeviceUnderTest): Promise<void> {
  await device.storage.load();
  await new Promise((done) => setTimeout(done, 0));
}

/** What was said is there once, in the order in which it was said. */
function said(device: DeviceUnderTest, truth: Truth): void {
  for (const [conversation, ids] of device.said) {
    const membership = truth.entries.get(conversation)?.membership;
    // Who was away from a group may not read what was said before.
    const all = membership?.joined_seq === 1 && membership.left_seq == null;
    const places = new Map<string, number>();
    for (const { client_id, seq } of truth.messages.get(conversation)?.values() ?? []) {
      if (client_id != null) {
        if (places.has(client_id)) {
          throw new Error(`${client_id} is there twice`);
        }
        places.set(client_id, seq);
      }
    }
    let before = 0;
    for (const id of ids) {
      const at = places.get(id);
      if (at === undefined) {
        if (all && !device.refused.has(id) && !device.perhaps.has(id)) {
          throw new Error(`${id} was never sent in ${conversation}, ${JSON.stringify(membership)}`);
        }
        continue;
      }
      if (at < before) {
        throw new Error(`${id} was overtaken`);
      }
      before = at;
    }
  }
}
