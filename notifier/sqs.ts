/**
 * The queue of notifications on SQS, or on an endpoint that speaks its protocol.
 * Invariant: queues that exist keep their settings; missing ones are made only where the caller allows it.
 * Left to others: polling (consumer.ts). This is the one file that names the AWS SDK.
 * Source: docs/protocol.md, "Notifications"; SQS API 2012-11-05.
 */
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  QueueDoesNotExist,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
  SQSServiceException,
} from '@aws-sdk/client-sqs'
import { type OutgoingMessage, type Queue, QueueError, queueNameOf } from './queue.ts'

export const endpointAttribute = 'endpoint'
const reasonAttribute = 'reason'

export interface SqsQueue extends Queue {
  /** For the consumer's polls. */
  readonly client: SQSClient
}

export interface QueueOptions {
  /** Of the queue; its last part is the queue's name and ends in `.fifo`. */
  readonly queueUrl: string
  /** Another SQS than Amazon's (AWS_ENDPOINT_URL_SQS). */
  readonly endpoint?: string
  /** Default: the SDK's own chain, then the region in the queue's address; with an endpoint, then any. */
  readonly region?: string
  /** Default: the SDK's own chain; with an endpoint, then any. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Makes the queue and its dead-letter queue where they are missing. For local endpoints. */
  readonly create?: { readonly visibilityTimeoutS: number; readonly receivesMax: number }
  /** Polls that wait at the same time; each holds a connection. 0: none. */
  readonly pollers: number
}

const requestTimeoutMs = 10_000
/** A long poll waits 20 s at most; a connection that is silent for longer is dead. */
const pollTimeoutMs = 30_000

/** The dead-letter queue of a queue that is made here: `a.fifo` → `a-dead-letter.fifo`. */
function deadLetterNameOf(queueName: string): string {
  return `${queueName.slice(0, -'.fifo'.length)}-dead-letter.fifo`
}

function regionOf(queueUrl: string): string | undefined {
  return /^https?:\/\/(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d)\./.exec(queueUrl)?.[1]
}

type Access = Pick<QueueOptions, 'region' | 'credentials'>

/** The SDK requires a region and credentials; an endpoint on this machine needs neither. */
async function withDefaults(
  { region, credentials, queueUrl }: QueueOptions,
  endpoint: string,
): Promise<Access> {
  const probe = new SQSClient({ endpoint })
  const missing = (): undefined => undefined
  const [foundRegion, foundCredentials] = await Promise.all([
    region ?? probe.config.region().catch(missing),
    credentials ?? probe.config.credentials().catch(missing),
  ])
  probe.destroy()
  return {
    ...(foundRegion === undefined ? { region: regionOf(queueUrl) ?? 'us-east-1' } : { region: foundRegion }),
    // Credentials that the chain found are left to the chain, which renews them.
    ...(foundCredentials === undefined
      ? { credentials: { accessKeyId: 'none', secretAccessKey: 'none' } }
      : credentials === undefined
        ? {}
        : { credentials }),
  }
}

/** Opens the queue and finds (or makes) its dead-letter queue. Rejects with `QueueError`. */
export async function openQueue(options: QueueOptions): Promise<SqsQueue> {
  const name = queueNameOf(options.queueUrl)
  const given = options.endpoint === undefined ? options : await withDefaults(options, options.endpoint)
  const region = given.region ?? regionOf(options.queueUrl)
  const client = new SQSClient({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(given.credentials === undefined ? {} : { credentials: given.credentials }),
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: pollTimeoutMs,
      throwOnRequestTimeout: true,
      // Every poll holds a socket while it waits; heartbeats, deletions and sends need others beside them.
      httpAgent: { keepAlive: true, maxSockets: 2 * options.pollers + 32 },
      httpsAgent: { keepAlive: true, maxSockets: 2 * options.pollers + 32 },
    },
  })
  try {
    const urls = options.create
      ? await createQueues(client, name, options.create)
      : { url: options.queueUrl, deadLetterUrl: await findDeadLetterQueue(client, options.queueUrl) }
    return queueOver(client, urls.url, urls.deadLetterUrl)
  } catch (error) {
    client.destroy()
    throw error instanceof QueueError ? error : queueError(error)
  }
}

function queueOver(client: SQSClient, url: string, deadLetterUrl: string | undefined): SqsQueue {
  const limit = () => ({ abortSignal: AbortSignal.timeout(requestTimeoutMs) })
  return {
    url,
    deadLetterUrl,
    client,
    async send(batch) {
      const command = new SendMessageBatchCommand({
        QueueUrl: url,
        Entries: batch.map((message, index) => ({ Id: String(index), ...entryOf(message) })),
      })
      const { Failed } = await client
        .send(command, limit())
        .catch((error) => Promise.reject(queueError(error)))
      return (Failed ?? []).map((fault) => ({
        index: Number(fault.Id),
        code: fault.Code ?? 'unknown',
        permanent: fault.SenderFault === true && !throttled(fault.Code),
      }))
    },
    async deadLetter(message, reason) {
      if (deadLetterUrl === undefined) return
      const entry = entryOf(message)
      const command = new SendMessageCommand({
        QueueUrl: deadLetterUrl,
        ...entry,
        MessageAttributes: { ...entry.MessageAttributes, [reasonAttribute]: stringAttribute(reason) },
      })
      await client.send(command, limit()).catch((error) => Promise.reject(queueError(error)))
    },
    close: () => client.destroy(),
  }
}

function entryOf(message: OutgoingMessage) {
  return {
    MessageBody: message.body,
    MessageGroupId: message.groupId,
    MessageDeduplicationId: message.deduplicationId,
    MessageAttributes:
      message.endpoint === undefined ? {} : { [endpointAttribute]: stringAttribute(message.endpoint) },
  }
}

function stringAttribute(value: string) {
  return { DataType: 'String', StringValue: value }
}

/** Makes the queues that are missing; those that exist keep their settings. */
async function createQueues(client: SQSClient, name: string, create: NonNullable<QueueOptions['create']>) {
  const limit = { abortSignal: AbortSignal.timeout(requestTimeoutMs) }
  const made = async (queueName: string, attributes: Record<string, string>): Promise<string> => {
    const existing = await existingQueue(client, queueName)
    if (existing !== undefined) return existing
    const command = new CreateQueueCommand({
      QueueName: queueName,
      Attributes: { FifoQueue: 'true', ContentBasedDeduplication: 'false', ...attributes },
    })
    const { QueueUrl } = await client.send(command, limit)
    if (QueueUrl === undefined) throw new QueueError('queue_not_made', `${queueName} got no address`, true)
    return QueueUrl
  }
  const deadLetterUrl = await made(deadLetterNameOf(name), { MessageRetentionPeriod: '1209600' })
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: ['QueueArn'] }),
    limit,
  )
  const url = await made(name, {
    VisibilityTimeout: String(create.visibilityTimeoutS),
    RedrivePolicy: JSON.stringify({
      deadLetterTargetArn: Attributes?.['QueueArn'],
      maxReceiveCount: create.receivesMax,
    }),
  })
  return { url, deadLetterUrl }
}

async function existingQueue(client: SQSClient, queueName: string): Promise<string | undefined> {
  try {
    const limit = { abortSignal: AbortSignal.timeout(requestTimeoutMs) }
    return (await client.send(new GetQueueUrlCommand({ QueueName: queueName }), limit)).QueueUrl
  } catch (error) {
    if (error instanceof QueueDoesNotExist) return undefined
    throw error
  }
}

async function findDeadLetterQueue(client: SQSClient, queueUrl: string): Promise<string | undefined> {
  const limit = { abortSignal: AbortSignal.timeout(requestTimeoutMs) }
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['RedrivePolicy'] }),
    limit,
  )
  const policy = Attributes?.['RedrivePolicy']
  if (policy === undefined) return undefined
  const { deadLetterTargetArn } = JSON.parse(policy) as { deadLetterTargetArn?: string }
  const [, , , , account, name] = deadLetterTargetArn?.split(':') ?? []
  if (name === undefined || account === undefined) return undefined
  const found = await client.send(
    new GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account }),
    limit,
  )
  return found.QueueUrl
}

function throttled(code: string | undefined): boolean {
  return code !== undefined && /throttl|overlimit/i.test(code)
}

/** Faults that no retry can repair. */
const hopeless =
  /NonExistentQueue|QueueDoesNotExist|CredentialsProviderError|AccessDenied|InvalidClientTokenId/

/** An error of the SDK as ours, without its copy of the response: that holds the request's signature, and megabytes. */
export function queueError(cause: unknown): QueueError {
  if (cause instanceof Error) Reflect.deleteProperty(cause, '$response')
  const name = cause instanceof Error ? cause.name : 'unknown'
  const text = cause instanceof Error ? cause.message : String(cause)
  const fault = cause instanceof SQSServiceException && cause.$fault === 'client' && !throttled(name)
  return new QueueError(name, `queue: ${text || name}`, !(hopeless.test(name) || fault), { cause })
}
