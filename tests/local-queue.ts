/**
 * An SQS endpoint in this process, for tests, drills and `npm run cluster`.
 *
 * It has FIFO order, de-duplication, visibility and a dead-letter queue, without an account anywhere. Its messages
 * are in memory and end with the process.
 *
 * Invariant: it listens on the loopback address alone, and answers only those that have this process's key, because
 * the house signs and posts what is in the queue. This is the one file that names fauxqs.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { buildApp } from 'fauxqs'

export interface LocalQueueEndpoint {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  stop(): Promise<void>
}

const region = 'us-east-1'
const accountId = '000000000000'

/** The address of a queue at a local endpoint. */
export function localQueueUrl(local: LocalQueueEndpoint, name: string): string {
  return `${local.endpoint}/${accountId}/${name}`
}

/** The variables that point a server or a notifier at the endpoint. */
export function variablesOf(local: LocalQueueEndpoint): Readonly<Record<string, string>> {
  return {
    SQS_QUEUE_URL: localQueueUrl(local, 'notification-events.fifo'),
    AWS_ENDPOINT_URL_SQS: local.endpoint,
    AWS_REGION: local.region,
    AWS_ACCESS_KEY_ID: local.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: local.credentials.secretAccessKey,
  }
}

/** Starts the endpoint on a free port of 127.0.0.1. */
export async function startLocalQueue(): Promise<LocalQueueEndpoint> {
  const accessKeyId = randomBytes(16).toString('hex')
  const app = buildApp({ logger: false, host: 'localhost', defaultRegion: region })
  // Other users of this machine reach the port too, and the emulator checks no signature: the key's name, which
  // travels in the header of every request, serves as the secret.
  app.addHook('onRequest', async (request, reply) => {
    if (!carriesKey(request.headers.authorization, accessKeyId))
      return reply.code(403).send({ __type: 'AccessDenied', message: 'this endpoint serves one process' })
    return undefined
  })
  const endpoint = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey: 'unchecked' },
    async stop() {
      await app.close()
    },
  }
}

function carriesKey(authorization: string | undefined, accessKeyId: string): boolean {
  const carried = Buffer.from(/Credential=([^/]+)\//.exec(authorization ?? '')?.[1] ?? '')
  const expected = Buffer.from(accessKeyId)
  return carried.length === expected.length && timingSafeEqual(carried, expected)
}
