import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it } from 'vitest'
import { webhookSecretOf } from './secret.ts'
import { type Answer, ok, type Receiver, startReceiver } from './testing/receiver.ts'
import { type Post, responseBytesMax, type WebhookPoster, webhookPoster } from './webhook.ts'

const secret = webhookSecretOf(Buffer.alloc(32, 7), 'ana')
const never = new AbortController().signal
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function receiving(answer: Answer): Promise<Receiver> {
  const receiver = await startReceiver(answer)
  ends.push(() => receiver.stop())
  return receiver
}

function poster(settings: { timeoutMs?: number; privateAllowed?: boolean } = {}): WebhookPoster {
  const made = webhookPoster({
    timeoutMs: settings.timeoutMs ?? 20_000,
    privateAllowed: settings.privateAllowed ?? true,
    now: () => Date.now(),
    socketsMax: 10,
  })
  ends.push(() => made.close())
  return made
}

const post = (endpoint: string): Post => ({ endpoint, id: '0-1-ana', body: '{"id":"0-1-ana"}', secret })

describe('posting to a webhook', () => {
  it('NOTE5 signs id, time and body so that the Standard Webhooks library accepts them', async () => {
    const receiver = await receiving(ok)
    const result = await poster().post(post(receiver.endpoint('ana')), never)
    expect(result).toEqual({ ok: true, status: 204 })
    const [got] = receiver.received
    expect(got?.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8')
    expect(got?.headers['webhook-id']).toBe('0-1-ana')
    expect(new Webhook(secret).verify(got?.body ?? '', got?.headers ?? {})).toEqual({ id: '0-1-ana' })
    const other = webhookSecretOf(Buffer.alloc(32, 7), 'ben')
    expect(() => new Webhook(other).verify(got?.body ?? '', got?.headers ?? {})).toThrow('signature')
  })

  it('NOTE7 does not follow a redirect', async () => {
    const receiver = await receiving((got, response) => {
      if (got.path === '/elsewhere') response.writeHead(204).end()
      else response.writeHead(307, { location: '/elsewhere' }).end()
    })
    const result = await poster().post(post(receiver.endpoint('ana')), never)
    expect(result).toMatchObject({ ok: false, failure: 'status', status: 307 })
    expect(receiver.received.map(({ path }) => path)).toEqual(['/ana'])
  })

  it('NOTE7 gives up on a receiver that does not answer in time', async () => {
    const receiver = await receiving(() => undefined)
    const result = await poster({ timeoutMs: 100 }).post(post(receiver.endpoint('ana')), never)
    expect(result).toMatchObject({ ok: false, failure: 'timeout' })
  })

  it('NOTE7 reads no more than 64 KiB of an answer that has no end', async () => {
    let wrote = 0
    const receiver = await receiving((_, response) => {
      response.writeHead(200)
      const more = (): void => {
        for (let room = true; room && !response.destroyed; wrote += 16_384)
          room = response.write(Buffer.alloc(16_384))
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    const result = await poster().post(post(receiver.endpoint('ana')), never)
    expect(result).toEqual({ ok: true, status: 200 })
    expect(wrote).toBeGreaterThan(responseBytesMax)
  })

  it('NOTE7 counts an answer of 2xx even when its body stalls', async () => {
    const receiver = await receiving((_, response) => {
      response.writeHead(200)
      response.write('one moment')
    })
    const result = await poster({ timeoutMs: 300 }).post(post(receiver.endpoint('ana')), never)
    expect(result).toEqual({ ok: true, status: 200 })
  })

  it('NOTE8 passes on Retry-After in seconds and as a date', async () => {
    let header = '17'
    const receiver = await receiving((_, response) => {
      response.writeHead(503, { 'retry-after': header }).end()
    })
    const posting = poster()
    expect(await posting.post(post(receiver.endpoint('ana')), never)).toMatchObject({
      failure: 'status',
      status: 503,
      retryAfterMs: 17_000,
    })
    header = new Date(Date.now() + 600_000).toUTCString()
    const { retryAfterMs } = (await posting.post(post(receiver.endpoint('ana')), never)) as {
      retryAfterMs: number
    }
    expect(retryAfterMs).toBeGreaterThan(0)
    expect(retryAfterMs).toBeLessThanOrEqual(600_000)
    header = 'soon'
    expect(await posting.post(post(receiver.endpoint('ana')), never)).not.toHaveProperty('retryAfterMs')
  })

  it('NOTE9 tells a receiver that is gone from an address where nothing answers', async () => {
    const receiver = await receiving((_, response) => {
      response.writeHead(410).end()
    })
    const posting = poster()
    expect(await posting.post(post(receiver.endpoint('ana')), never)).toMatchObject({ failure: 'gone' })
    await receiver.stop()
    expect(await posting.post(post(receiver.endpoint('ana')), never)).toMatchObject({
      failure: 'network',
      detail: 'ECONNREFUSED',
    })
  })

  it('NOTE7 a kept connection that the receiver has dropped is no failure of the webhook', async () => {
    const receiver = await receiving((_, response, request) => {
      if (receiver.received.length === 2) request.socket.destroy()
      else ok(_, response, request)
    })
    const posting = poster()
    await posting.post(post(receiver.endpoint('ana')), never)
    expect(await posting.post(post(receiver.endpoint('ana')), never)).toEqual({ ok: true, status: 204 })
    expect(receiver.received).toHaveLength(3)
  })

  it('NOTE13 refuses private addresses, by number and by name', async () => {
    const receiver = await receiving(ok)
    const guarded = poster({ privateAllowed: false })
    const byNumber = await guarded.post(post(receiver.endpoint('ana')), never)
    expect(byNumber).toMatchObject({ ok: false, failure: 'endpoint_invalid' })
    const byName = receiver.endpoint('ana').replace('127.0.0.1', 'localhost')
    expect(await guarded.post(post(byName), never)).toMatchObject({ ok: false, failure: 'address_refused' })
    expect(receiver.received).toEqual([])
    expect(await guarded.post(post('gopher://shop.example/'), never)).toMatchObject({
      failure: 'endpoint_invalid',
    })
  })

  it('NOTE14 breaks off when the process stops', async () => {
    const receiver = await receiving(() => undefined)
    const stop = new AbortController()
    const result = poster().post(post(receiver.endpoint('ana')), stop.signal)
    await receiver.until(() => receiver.received.length === 1)
    stop.abort()
    expect(await result).toMatchObject({ ok: false, failure: 'stopped' })
    expect(await poster().post(post(receiver.endpoint('ana')), stop.signal)).toMatchObject({
      failure: 'stopped',
    })
  })
})
