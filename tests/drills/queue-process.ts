/**
 * An SQS endpoint as a process of its own, for deployments whose servers and notifiers share one queue. Prints one
 * line with the variables that point at it. Invariant: loopback alone; what it holds ends with it. It stands for a
 * service on other machines, so it leaves the processor to what is measured.
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
