// Ids that a client makes by itself, as the server does.

const LOW_62 = (1n << 62n) - 1n;

/** The direct conversation of two users, in any order: a UUID of version 8 that holds both. */
export function directConversation(a: number, b: number): string {
  const lo = BigInt(Math.min(a, b));
  const hi = BigInt(Math.max(a, b));
  const free = (lo << 69n) | (hi << 16n);
  const bits = ((free >> 74n) << 80n) | (8n << 76n) | (((free >> 62n) & 0xfffn) << 64n) | (2n << 62n) | (free & LOW_62);
  return dashed(bits.toString(16).padStart(32, '0'));
}

/** The two users of a direct conversation, the smaller first; `undefined` for a group. */
export function usersOfDirect(conversation: string): [number, number] | undefined {
  if (conversation[14] !== '8') {
    return undefined;
  }
  const bits = BigInt(`0x${conversation.replaceAll('-', '')}`);
  const free = ((bits >> 80n) << 74n) | (((bits >> 64n) & 0xfffn) << 62n) | (bits & LOW_62);
  return [Number(free >> 69n), Number((free >> 16n) & ((1n << 53n) - 1n))];
}

/** A random UUID from 16 random bytes: client ids of this form are stored small. */
export function randomUuid(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  const text = hex.join('');
  const variant = ((Number.parseInt(text[16] ?? '0', 16) & 3) | 8).toString(16);
  return dashed(`${text.slice(0, 12)}4${text.slice(13, 16)}${variant}${text.slice(17, 32)}`);
}

function dashed(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
