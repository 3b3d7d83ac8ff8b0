/**
 * Fixtures of the tests of `wire/` and of the rooms that build on it.
 *
 * Invariant: they wait for conditions, never for a fixed time, and know nothing of what is sent.
 */
import type { ConnectionLimits } from '../connection.ts'
import { frameParts } from '../frame.ts'
import { encodeGreeting, encodeHello, type Hello, type Role } from '../handshake.ts'
import { frameKinds } from '../kinds.ts'
import { nonceBytes } from '../proof.ts'
import { packTuple } from '../tuples.ts'

/** Resolves when the condition holds; the test's own time limit ends a wait that is in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

export const quickLimits: ConnectionLimits = {
  heartbeatMs: 25,
  silentHeartbeatsMax: 40,
  outBytesMax: 8 * 1024 * 1024,
  greetingMs: 2_000,
}

export function helloOf(role: Role, nodeId: number, changes: Partial<Hello> = {}): Hello {
  return {
    role,
    clusterId: 'cluster-1',
    nodeId,
    instance: `instance-${nodeId}`,
    settingsHash: 'settings-1',
    ...(role === 'link' && { principal: 'tool:test' }),
    ...(role === 'monitor' && { principal: 'monitor:test' }),
    ...changes,
  }
}

/** All that a side sends in its handshake where there is no secret; it need not wait for the other. */
export function plainHandshake(side: 'dialler' | 'acceptor', hello: Hello): Uint8Array[] {
  const none = new Uint8Array()
  return [
    ...frameParts(frameKinds.greeting, [encodeGreeting(new Uint8Array(nonceBytes), false)]),
    ...(side === 'dialler' ? frameParts(frameKinds.proof, [none]) : []),
    ...frameParts(frameKinds.hello, [packTuple([encodeHello(hello), none])]),
  ]
}
