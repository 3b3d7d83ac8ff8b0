/**
 * Runs one role until its process is asked to stop.
 * It is the verb `martillo start`, `state`, `server`, `monitor` or `notifier`.
 * Invariant: its first output says where it listens; it resolves only after the role has stopped, and fails when a
 * part of it did not stop. Source: docs/protocol.md, "Command line".
 */
import { CliFailure, exitCodes } from '../../clients/cli/index.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createMetrics } from '../../runtime/metrics.ts'
import type { StartProgress } from '../../state-cluster/index.ts'
import { knownVariables, type RoleName, roles } from '../table.ts'
import type { Shell } from './shell.ts'

/** A start within this time needs no words. */
const quietMs = 1_000

/** `overrides` are settings that options of the command line gave, by key. */
export async function runRole(
  name: RoleName,
  overrides: Readonly<Record<string, unknown>>,
  isJson: boolean,
  shell: Shell,
): Promise<void> {
  const { io } = shell
  const [role, known] = await Promise.all([roles[name].load(), knownVariables()])
  const running = await role.start(
    { env: io.env, known, overrides },
    {
      clock: systemClock,
      metrics: createMetrics({ withProcess: true }),
      onProgress: progressLine(shell),
      onFatal(error) {
        // The disk's contents are uncertain now: to answer or to write more could only make it worse.
        io.stderr.write(`martillo: stopped: ${error.message}\n`)
        shell.exit(exitCodes.refused)
      },
    },
  )
  shell.serving()
  const { facts } = running
  io.stdout.write(isJson ? `${JSON.stringify({ event: 'listening', ...facts })}\n` : role.greeting(facts))
  await aborted(io.signal)
  if (name === 'start' && io.stdout.isTTY === true)
    io.stderr.write('martillo: informing bidders and stopping; Ctrl-C again to stop at once\n')
  const faults = await running.stop()
  if (faults.length > 0)
    throw new CliFailure(exitCodes.refused, faults.map((fault) => fault.message).join('; '))
}

function progressLine({ io }: Shell): (progress: StartProgress) => void {
  let saidMs = systemClock.monotonicMs()
  return ({ groupId, phase, done, total }) => {
    if (systemClock.monotonicMs() - saidMs < quietMs) return
    saidMs = systemClock.monotonicMs()
    const of = total === undefined ? '' : ` of ${total.toLocaleString('en')}`
    const what = phase === 'rows' ? 'rows of the checkpoint' : 'log entries after it'
    io.stderr.write(`martillo: loading group ${groupId}: ${done.toLocaleString('en')}${of} ${what}\n`)
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
