/**
 * An SQS endpoint as a process, for servers and notifiers that share one queue.
 *
 * It prints one line with the variables that point at it. It represents a service on other machines, so it leaves the
 * processor to what is measured.
 *
 * Invariant: it listens on loopback alone; what it holds ends with it.
 */
import { constants, getPriority, setPriority } from 'node:os'
import { startLocalQueue, variablesOf } from './local-queue.ts'

setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL))
const local = await startLocalQueue()
const env = variablesOf(local)
process.stdout.write(`${JSON.stringify({ event: 'listening', url: local.endpoint, env })}\n`)
