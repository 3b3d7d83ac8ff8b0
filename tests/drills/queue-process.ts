/**
 * An SQS endpoint as a process, for servers and notifiers that share one queue.
 *
 * It prints one line with the variables that point at it. It represents a service on other machines, so it leaves the
 * processor to what is measured.
 *
 * Invariant: it listens on loopback alone; what it holds ends with it.
 */
import { constants, getPriority, setPriority } from 'node:os'
import { localQueueUrl, startLocalQueue } from '../../notifier/local-queue.ts'

setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL))
const local = await startLocalQueue()
const env = {
  SQS_QUEUE_URL: localQueueUrl(local, 'notification-events.fifo'),
  AWS_ENDPOINT_URL_SQS: local.endpoint,
  AWS_REGION: local.region,
  AWS_ACCESS_KEY_ID: local.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: local.credentials.secretAccessKey,
}
process.stdout.write(`${JSON.stringify({ event: 'listening', url: local.endpoint, env })}\n`)
