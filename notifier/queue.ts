/**
 * The FIFO queue of notifications, as the publisher and the consumer see it: one group for each buyer, so that
 * SQS itself keeps a buyer's messages in order and hands out one at a time.
 * Invariant: a message is in the queue when `send` says so; a repeat of its de-duplication id adds nothing.
 * Left to others: when to try again (sink.ts), what a message means (message.ts), polling (consumer.ts).
 * This is the one file that names the AWS SDK. Source: docs/protocol.md, "Notifications", SQS API 2012-11-05.
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

/** Limits of SQS itself: entries and bytes of one SendMessageBatch, and of one message. */
export const batchEntriesMax = 10
export const batchBytesMax = 262_144

export const endpointAttribute = 'endpoint'
const reasonAttribute = 'reason'

export interface OutgoingMessage {
  /** 1 to 128 characters; the same one within five minutes is stored once. */
  readonly deduplicationId: string
  /** The buyer's id, 1 to 128 characters. */
  readonly groupId: string
  /** ASCII text, at most `batchBytesMax` bytes with its attributes. */
  readonly body: string
  /** Where the consumer posts it; absent: the buyer has no webhook. */
  readonly endpoint?: string
}

/** One entry of a batch that SQS did not take. */
export interface SendFault {
  readonly index: number
  readonly code: string
  /** The message itself is at fault: sending it again cannot help. */
  readonly permanent: boolean
}

/** An operational failure of the queue. `retryable` is false where the settings are wrong. */
export class QueueError extends Error {
  readonly code: string
  readonly retryable: boolean
  constructor(code: string, message: string, retryable: boolean, options?: ErrorOptions) {
    super(message, options)
    this.name = 'QueueError'
    this.code = code
    this.retryable = retryable
  }
}

export interface Queue {
  readonly url: string
  /** Absent where the queue has no redrive policy: dead letters are then logged only. */
  readonly deadLetterUrl: string | undefined
  /** For the consumer's polls. */
  readonly client: SQSClient
  /**
   * Sends 1 to 10 messages of at most 256 KiB together. Resolves with the entries that were not taken (an empty
   * list: all were); rejects with `QueueError` when the whole request failed.
   */
  send(batch: readonly OutgoingMessage[]): Promise<readonly SendFault[]>
  /** Puts a message that cannot be delivered on the dead-letter queue, with the reason as an attribute. */
  deadLetter(message: OutgoingMessage, reason: string): Promise<void>
  close(): void
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
  /** Polls that wait at the same time; each holds a connection. */
  readonly pollers: number
}

const requestTimeoutMs = 10_000
/** A long poll waits 20 s at most; a connection that says nothing for longer is dead. */
const pollTimeoutMs = 30_000

/** The name of a queue: the last part of its address. Throws `QueueError` (`queue_url_invalid`) on others. */
export function queueNameOf(queueUrl: string): string {
  const name = URL.canParse(queueUrl) ? new URL(queueUrl).pathname.split('/').at(-1) : undefined
  if (name === undefined || !/^[A-Za-z0-9_-]{1,75}\.fifo$/.test(name))
    throw new QueueError(
      'queue_url_invalid',
      `SQS_QUEUE_URL is the address of a FIFO queue (its name ends in .fifo), not ${JSON.stringify(queueUrl)}`,
      false,
    )
  return name
}

/** The dead-letter queue that is made beside a queue: `a.fifo` → `a-dead-letter.fifo`. */
function deadLetterNameOf(queueName: string): string {
  return `${queueName.slice(0, -'.fifo'.length)}-dead-letter.fifo`
}

function regionOf(queueUrl: string): string | undefined {
  return /^https?:\/\/(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d)\./.exec(queueUrl)?.[1]
}

type Access = Pick<QueueOptions, 'region' | 'credentials'>

/** The SDK insists on a region and on credentials; an endpoint on this machine asks for neither. */
async function withDefaults(
  { region, credentials, queueUrl }: QueueOptions,
  endpoint: string,
): Promise<Access> {
  const asked = new SQSClient({ endpoint })
  const missing = (): undefined => undefined
  const [foundRegion, foundCredentials] = await Promise.all([
    region ?? asked.config.region().catch(missing),
    credentials ?? asked.config.credentials().catch(missing),
  ])
  asked.destroy()
  return {
    ...(foundRegion === undefined ? { region: regionOf(queueUrl) ?? 'us-east-1' } : { region: foundRegion }),
    // What the chain found is left to the chain, which renews it.
    ...(foundCredentials === undefined
      ? { credentials: { accessKeyId: 'none', secretAccessKey: 'none' } }
      : credentials === undefined
        ? {}
        : { credentials }),
  }
}

/** Opens the queue and finds (or makes) its dead-letter queue. Rejects with `QueueError`. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
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

function queueOver(client: SQSClient, url: string, deadLetterUrl: string | undefined): Queue {
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

/** Settings that no retry can mend. */
const hopeless =
  /NonExistentQueue|QueueDoesNotExist|CredentialsProviderError|AccessDenied|InvalidClientTokenId/

/** What the SDK threw, as ours. Its copy of the response goes: it holds the request's signature, and megabytes. */
export function queueError(cause: unknown): QueueError {
  if (cause instanceof Error) Reflect.deleteProperty(cause, '$response')
  const name = cause instanceof Error ? cause.name : 'unknown'
  const text = cause instanceof Error ? cause.message : String(cause)
  const fault = cause instanceof SQSServiceException && cause.$fault === 'client' && !throttled(name)
  return new QueueError(name, `queue: ${text || name}`, !(hopeless.test(name) || fault), { cause })
}
