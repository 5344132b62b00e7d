// What people do at random, and what happens to them. Each step is chosen by its weight.

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type Row } from '../../src/index.ts';
import type { DeviceUnderTest, Person, World } from './world.ts';

type Step = (world: World, device: DeviceUnderTest) => Promise<void> | void;

const EMOJI = ['👍', '❤️', '😀'];
const GROUPS_MAX = 4;

/** A conversation that the device knows. */
function anyConversation(world: World, device: DeviceUnderTest): string | undefined {
  return world.chance.pick(device.client.chatList())?.info.conversation_id;
}

function anyRow(world: World, device: DeviceUnderTest, mine: boolean): { id: string; row: Row } | undefined {
  const id = anyConversation(world, device);
  const rows = id === undefined ? [] : (device.client.snapshot(id)?.messages ?? []);
  const fitting = rows.filter(
    (row) => row.deleted_at == null && row.type !== 'system' && (!mine || row.sender_id === device.user.id),
  );
  const row = world.chance.pick(fitting);
  return id !== undefined && row ? { id, row } : undefined;
}

function otherPerson(world: World, device: DeviceUnderTest): Person | undefined {
  return world.chance.pick(world.people.filter((person) => person !== device.user));
}

/** A call that a network without faults carries; what is refused is refused. */
async function tried(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof TypeError)) {
      throw error;
    }
  }
}

const steps: Record<string, [weight: number, step: Step]> = {
  send: [
    30,
    (world, device) => {
      const id = anyConversation(world, device);
      if (id !== undefined) {
        const quoted = world.chance.often(0.3)
          ? world.chance.pick(device.client.snapshot(id)?.messages ?? [])
          : undefined;
        const content = `${device.user.name} says ${world.chance.below(1_000_000)}`;
        const reply = quoted && quoted.deleted_at == null ? { reply_to: quoted.seq } : {};
        device.say(id, device.client.send(id, { content, ...reply }));
      }
    },
  ],
  sendTo: [
    5,
    (world, device) => {
      const other = otherPerson(world, device);
      if (other) {
        const { conversation, clientId } = device.client.sendTo(other.id, `hello ${other.name}`);
        device.say(conversation, clientId);
      }
    },
  ],
  burst: [
    2,
    (world, device) => {
      const id = anyConversation(world, device);
      for (let left = world.chance.below(12); id !== undefined && left > 0; left -= 1) {
        device.say(id, device.client.send(id, `one of many ${left}`));
      }
    },
  ],
  edit: [
    8,
    (world, device) => {
      const found = anyRow(world, device, true);
      if (found) {
        device.client.edit(found.id, found.row.seq, `corrected ${world.chance.below(1_000_000)}`);
      }
    },
  ],
  remove: [
    4,
    (world, device) => {
      const found = anyRow(world, device, true);
      if (found) {
        device.client.delete(found.id, found.row.seq);
      }
    },
  ],
  react: [
    6,
    (world, device) => {
      const found = anyRow(world, device, false);
      if (found) {
        device.client.react(found.id, found.row.seq, world.chance.pick(EMOJI) ?? '', world.chance.often(0.3));
      }
    },
  ],
  read: [
    8,
    (world, device) => {
      const found = anyRow(world, device, false);
      if (found) {
        device.client.markRead(found.id, found.row.seq);
      }
    },
  ],
  look: [
    8,
    (world, device) => {
      const id = anyConversation(world, device);
      if (id !== undefined) {
        const head = device.client.snapshot(id)?.info?.head_seq ?? 0;
        const jump = world.chance.often(0.3) ? world.chance.below(head + 1) + 1 : undefined;
        device.client.open(id, jump);
      }
    },
  ],
  lookAway: [
    5,
    (world, device) => {
      const id = anyConversation(world, device);
      if (id !== undefined) {
        device.client.close(id);
      }
    },
  ],
  scroll: [
    8,
    (world, device) => {
      const id = anyConversation(world, device);
      if (id !== undefined && world.chance.often(0.7)) {
        device.client.loadOlder(id);
      } else if (id !== undefined) {
        device.client.loadNewer(id);
      }
    },
  ],
  newGroup: [
    1,
    async (world, device) => {
      if (world.groups.length < GROUPS_MAX) {
        const members = world.people.filter((person) => person !== device.user && world.chance.often(0.6));
        const body = { type: 'group' as const, name: 'a group', member_ids: members.map((person) => person.id) };
        const call = device.client.api.call('POST /api/v1/conversations', { body });
        await tried(call.then((entry) => world.groups.push(entry.conversation.conversation_id)));
      }
    },
  ],
  rename: [
    2,
    async (world, device) => {
      const conversation_id = world.chance.pick(world.groups);
      if (conversation_id !== undefined) {
        const body = { name: `group ${world.chance.below(1000)}` };
        await tried(
          device.client.api.call('PATCH /api/v1/conversations/{conversation_id}', { path: { conversation_id }, body }),
        );
      }
    },
  ],
  add: [
    3,
    async (world, device) => {
      const conversation_id = world.chance.pick(world.groups);
      const other = otherPerson(world, device);
      if (conversation_id !== undefined && other) {
        const body = { user_ids: [other.id] };
        const path = { conversation_id };
        await tried(device.client.api.call('POST /api/v1/conversations/{conversation_id}/members', { path, body }));
      }
    },
  ],
  removeMember: [
    2,
    async (world, device) => {
      const conversation_id = world.chance.pick(world.groups);
      const person = world.chance.often(0.5) ? device.user : otherPerson(world, device);
      if (conversation_id !== undefined && person) {
        const path = { conversation_id, user_id: person.id };
        await tried(
          device.client.api.call('DELETE /api/v1/conversations/{conversation_id}/members/{user_id}', { path }),
        );
      }
    },
  ],
  ownView: [
    3,
    async (world, device) => {
      const conversation_id = anyConversation(world, device);
      if (conversation_id !== undefined) {
        const body = world.chance.often(0.5)
          ? { pinned: world.chance.often(0.5) }
          : { archived: world.chance.often(0.5) };
        const path = { conversation_id };
        await tried(device.client.api.call('PATCH /api/v1/conversations/{conversation_id}/inbox', { path, body }));
      }
    },
  ],
  cut: [3, (_world, device) => device.network.cut()],
  offline: [2, (_world, device) => device.network.goOffline()],
  online: [
    4,
    (_world, device) => {
      device.network.offline = false;
      device.client.hurry();
    },
  ],
  reload: [2, (world, device) => device.reload(world.chance.often(0.5))],
  wait: [12, (world) => sleep(world.chance.below(12))],
};

const total = Object.values(steps).reduce((sum, [weight]) => sum + weight, 0);

/** One random step; its name. */
export async function step(world: World): Promise<string> {
  const device = world.chance.pick(world.devices) as DeviceUnderTest;
  let left = world.chance.below(total);
  for (const [name, [weight, run]] of Object.entries(steps)) {
    left -= weight;
    if (left < 0) {
      await run(world, device);
      return `${device.user.name} ${name}`;
    }
  }
  throw new Error('no step');
}
