/**
 * An SQS endpoint inside this process, for the house on one machine: FIFO order, de-duplication, visibility and a
 * dead-letter queue without an account anywhere.
 * Invariant: it listens on the loopback address alone, and answers nobody who does not hold this process's key:
 * what is put in the queue is signed and posted in the house's name.
 * Left to others: durability. Its messages live in memory, so the sink counts one as done only when it was
 * delivered. This is the one file that names fauxqs.
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

/** Address by which a queue of this name is asked for at a local endpoint. */
export function localQueueUrl(local: LocalQueueEndpoint, name: string): string {
  return `${local.endpoint}/${accountId}/${name}`
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
