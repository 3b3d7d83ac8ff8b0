/**
 * `martillo monitor status`: what the page of a monitor shows, as lines.
 * Invariant: it only reads; a monitor that does not answer within 5 s is exit code 3.
 * Source: docs/protocol.md, "Command line".
 */
import { CliFailure, exitCodes } from '../../clients/cli/index.ts'
import { type MonitorStatus, monitorLines } from '../../monitor/index.ts'
import { bearerOf, healthTokenOf } from './secrets.ts'
import { print, type Shell } from './shell.ts'

const timeoutMs = 5_000

export async function showMonitorStatus(
  page: string,
  options: { readonly json?: true },
  shell: Shell,
): Promise<void> {
  const status = await readStatus(page, await healthTokenOf(shell))
  print(shell, options, { text: monitorLines(status).join('\n'), facts: status })
}

async function readStatus(page: string, token: string | undefined): Promise<MonitorStatus> {
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    const response = await fetch(new URL('/status', page), { signal, headers: bearerOf(token) })
    if (response.status === 401 || response.status === 403) throw notAllowed(page)
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return (await response.json()) as MonitorStatus
  } catch (error) {
    if (error instanceof CliFailure) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new CliFailure(exitCodes.unreachable, `no monitor answers at ${page}: ${why}`)
  }
}

function notAllowed(page: string): CliFailure {
  const what =
    'set MARTILLO_CLUSTER_SECRET_FILE, MARTILLO_CLUSTER_SECRET or MARTILLO_HEALTH_TOKEN as the monitor has it'
  return new CliFailure(exitCodes.refused, `the monitor at ${page} asks for its health token: ${what}`)
}
