/**
 * Fixtures of the tests of `wire/` and of the rooms that build on it.
 *
 * Invariant: they wait for conditions, never for a fixed time, and know nothing of what is sent.
 */
import type { ConnectionLimits } from '../connection.ts'
import { type Hello, type Role, transportVersion, transportVersionMin } from '../handshake.ts'

/** Resolves when the condition holds; the test's own time limit ends a wait that is in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

export const quickLimits: ConnectionLimits = {
  heartbeatMs: 25,
  silentHeartbeatsMax: 40,
  outBytesMax: 8 * 1024 * 1024,
}

export function helloOf(role: Role, nodeId: number, changes: Partial<Hello> = {}): Hello {
  return {
    versionMin: transportVersionMin,
    version: transportVersion,
    role,
    clusterId: 'cluster-1',
    nodeId,
    instance: `instance-${nodeId}`,
    settingsHash: 'settings-1',
    ...changes,
  }
}
