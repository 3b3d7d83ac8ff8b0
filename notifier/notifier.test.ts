/** The notifier with a real HTTP receiver: directly, and over a real SQS endpoint in this process. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it } from 'vitest'
import type { SubjectId } from '../protocol/ids.ts'
import { systemClock } from '../runtime/clock.ts'
import { loadConfig } from '../runtime/config.ts'
import { silentLogger } from '../runtime/logger.ts'
import { createMetrics, type Metrics } from '../runtime/metrics.ts'
import { localQueueUrl, startLocalQueue } from '../tests/local-queue.ts'
import { notifierConfig, openSink, type RunningNotifier, startNotifier } from './index.ts'
import { bidNotification } from './testing/messages.ts'
import { type Answer, type Received, type Receiver, startReceiver } from './testing/receiver.ts'

const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function receiving(answer?: Answer): Promise<Receiver> {
  const receiver = await startReceiver(answer)
  ends.push(() => receiver.stop())
  return receiver
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'martillo-notifier-'))
  ends.push(() => rmSync(made, { recursive: true }))
  return made
}

function configOf(overrides: Record<string, unknown>) {
  return loadConfig(
    { notifier: notifierConfig },
    { env: {}, overrides: { webhookBackoffBaseMs: 0, notifierStopGraceMs: 0, ...overrides } },
  ).notifier
}

interface House extends RunningNotifier {
  readonly metrics: Metrics
  readonly dataFolder: string
}

async function starting(overrides: Record<string, unknown> = {}, dataFolder = folder()): Promise<House> {
  const metrics = createMetrics({ withProcess: false })
  const notifier = await startNotifier({
    config: configOf(overrides),
    dataFolder,
    clock: systemClock,
    logger: silentLogger,
    metrics,
    random: Math.random,
    exposed: false,
  })
  ends.push(() => notifier.stop())
  return { ...notifier, metrics, dataFolder }
}

const idsTo = (receiver: Receiver, path: string) =>
  receiver.received.filter((one) => one.path === `/${path}`).map(({ id }) => id)

describe('the house on one machine', () => {
  it('NOTE2 NOTE5 NOTE6 every notification arrives signed, in order for each buyer, before it counts as published', async () => {
    const receiver = await receiving()
    const house = await starting()
    const messages = Array.from({ length: 40 }, (_, i) => {
      const buyer = `buyer-${i % 4}`
      return bidNotification(i + 1, buyer, receiver.endpoint(buyer))
    })
    await house.sink.publish(messages)
    for (const buyer of ['buyer-0', 'buyer-1', 'buyer-2', 'buyer-3']) {
      const own = messages.filter(({ recipient }) => recipient === buyer)
      expect(idsTo(receiver, buyer)).toEqual(own.map(({ id }) => id))
    }
    const verified = receiver.received.map((one: Received) => {
      const secret = house.webhookSecretOf(one.path.slice(1) as SubjectId)
      return new Webhook(secret).verify(one.body, one.headers) as { id: string }
    })
    expect(verified.map(({ id }) => id).sort()).toEqual(messages.map(({ id }) => id).sort())
    expect(await house.metrics.text()).toContain('outcome="delivered"} 40')
  })

  it('NOTE8 tries again with the same id until the receiver takes it, and holds the next back meanwhile', async () => {
    let failures = 3
    const receiver = await receiving((_, response) => {
      failures -= 1
      response.writeHead(failures >= 0 ? 500 : 204).end()
    })
    const house = await starting()
    await house.sink.publish([1, 2].map((at) => bidNotification(at, 'ana', receiver.endpoint('ana'))))
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-1-ana', '0-1-ana', '0-1-ana', '0-2-ana'])
  })

  it('NOTE9 NOTE10 gives up after the last attempt, keeps the dead letter, and continues', async () => {
    const receiver = await receiving((_, response) => {
      response.writeHead(500).end()
    })
    const house = await starting({ webhookAttemptsMax: 3 })
    await house.sink.publish([1, 2].map((at) => bidNotification(at, 'ana', receiver.endpoint('ana'))))
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-1-ana', '0-1-ana', '0-2-ana'])
    const dead = readFileSync(join(house.dataFolder, 'dead-letters.jsonl'), 'utf8').trim().split('\n')
    expect(dead.map((line) => JSON.parse(JSON.parse(line).body).id)).toEqual(['0-1-ana', '0-2-ana'])
    expect(await house.metrics.text()).toContain('outcome="dead_lettered"} 2')
  })

  it('NOTE9 bad addresses are given up at once, and publish does not wait for them', async () => {
    const receiver = await receiving()
    const house = await starting({ webhookPrivateAddresses: 'refuse' })
    await house.sink.publish([
      bidNotification(1, 'ana', 'ftp://shop.example/'),
      bidNotification(2, 'ben', receiver.endpoint('ben')),
      bidNotification(3, 'cem', receiver.endpoint('cem').replace('127.0.0.1', 'localhost')),
      bidNotification(4, 'dee'),
    ])
    expect(receiver.received).toEqual([])
    const text = await house.metrics.text()
    expect(text).toContain('result="endpoint_invalid"} 2')
    expect(text).toContain('result="address_refused"} 1')
  })

  it('NOTE12 a receiver that never answers delays no other buyer', async () => {
    const receiver = await receiving((got, response) => {
      if (got.path !== '/slow') response.writeHead(204).end()
    })
    const house = await starting({ notifierPollers: 2 })
    // Never ends: it is closed with the house.
    const slow = house.sink
      .publish([1, 2, 3].map((at) => bidNotification(at, 'slow', receiver.endpoint('slow'))))
      .catch((error) => error)
    await receiver.until(() => idsTo(receiver, 'slow').length === 1)
    await house.sink.publish(
      Array.from({ length: 20 }, (_, i) => bidNotification(10 + i, 'ana', receiver.endpoint('ana'))),
    )
    expect(idsTo(receiver, 'ana')).toHaveLength(20)
    expect(idsTo(receiver, 'slow')).toEqual(['0-1-slow'])
    await house.stop()
    expect(await slow).toMatchObject({ code: 'stopped' })
  })

  it('NOTE11 published again, delivered once', async () => {
    const receiver = await receiving()
    const house = await starting()
    const message = bidNotification(1, 'ana', receiver.endpoint('ana'))
    await house.sink.publish([message])
    await house.sink.publish([message])
    await house.sink.publish([bidNotification(2, 'ana', receiver.endpoint('ana'))])
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-2-ana'])
  })

  it('NOTE6 signs with the same key after a restart', async () => {
    const dataFolder = folder()
    const first = await starting({}, dataFolder)
    const secret = first.webhookSecretOf('ana' as SubjectId)
    await first.stop()
    const second = await starting({}, dataFolder)
    expect(second.webhookSecretOf('ana' as SubjectId)).toBe(secret)
  })

  it('NOTE15 opens no port: nothing listens for its notifications', async () => {
    const listening = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length
    const before = listening()
    await starting()
    expect(listening()).toBe(before)
    const receiver = await receiving()
    expect(receiver.received).toEqual([])
    expect(listening()).toBe(before + 1)
  })

  it('NOTE3 what has not ended when it stops is rejected, and published again by the next', async () => {
    let isAnswering = false
    const receiver = await receiving((_, response) => {
      if (isAnswering) response.writeHead(204).end()
    })
    const messages = [1, 2].map((at) => bidNotification(at, 'ana', receiver.endpoint('ana')))
    const first = await starting()
    const published = first.sink.publish(messages).catch((error) => error)
    await receiver.until(() => receiver.received.length === 1)
    await first.stop()
    expect(await published).toMatchObject({ code: 'stopped', retryable: false })
    isAnswering = true
    const second = await starting()
    await second.sink.publish(messages)
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-1-ana', '0-2-ana'])
  })
})

describe('notifiers over a queue', () => {
  it('the local queue of the tests refuses requests without its key', async () => {
    const local = await startLocalQueue()
    ends.push(() => local.stop())
    expect(new URL(local.endpoint).hostname).toBe('127.0.0.1')
    for (const path of ['/', '/_fauxqs/queues', '/bucket']) {
      const answer = await fetch(local.endpoint + path, { headers: { authorization: 'Credential=guess/' } })
      expect(answer.status).toBe(403)
    }
  })

  /** An SQS endpoint that outlives the notifiers, as Amazon's does. */
  async function queueOutside() {
    const local = await startLocalQueue()
    ends.push(() => local.stop())
    const client = new SQSClient({ ...local, maxAttempts: 1 })
    ends.push(() => client.destroy())
    // The SDK's own variables are how a notifier gets its credentials.
    const before = { id: process.env['AWS_ACCESS_KEY_ID'], secret: process.env['AWS_SECRET_ACCESS_KEY'] }
    process.env['AWS_ACCESS_KEY_ID'] = local.credentials.accessKeyId
    process.env['AWS_SECRET_ACCESS_KEY'] = local.credentials.secretAccessKey
    process.env['AWS_REGION'] = local.region
    ends.push(() => {
      restore('AWS_ACCESS_KEY_ID', before.id)
      restore('AWS_SECRET_ACCESS_KEY', before.secret)
      restore('AWS_REGION', undefined)
    })
    const settings = {
      sqsQueueUrl: localQueueUrl(local, 'notification-events.fifo'),
      sqsEndpointUrl: local.endpoint,
    }
    const urlOf = async (name: string) =>
      (await client.send(new GetQueueUrlCommand({ QueueName: name }))).QueueUrl
    return { client, settings, urlOf }
  }

  function restore(name: string, value: string | undefined): void {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }

  async function publisherTo(settings: Record<string, unknown>) {
    const sink = await openSink({
      config: configOf(settings),
      clock: systemClock,
      logger: silentLogger,
      metrics: createMetrics({ withProcess: false }),
      random: Math.random,
    })
    ends.push(() => sink.close())
    return sink
  }

  it('NOTE3 published means that the queue has it, whether a notifier runs or not', async () => {
    const outside = await queueOutside()
    const receiver = await receiving()
    const sink = await publisherTo(outside.settings)
    await sink.publish([1, 2, 3].map((at) => bidNotification(at, 'ana', receiver.endpoint('ana'))))
    expect(receiver.received).toEqual([])
    await starting(outside.settings)
    await receiver.until(() => receiver.received.length === 3)
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-2-ana', '0-3-ana'])
  })

  it('NOTE14 what a stopped notifier had under way is delivered by the next', async () => {
    const outside = await queueOutside()
    let answering = false
    const receiver = await receiving((_, response) => {
      if (answering) response.writeHead(204).end()
    })
    const sink = await publisherTo(outside.settings)
    await sink.publish([1, 2].map((at) => bidNotification(at, 'ana', receiver.endpoint('ana'))))
    // The endpoint may hand a message to a poll whose caller has gone: then it comes back after this time.
    const settings = { ...outside.settings, notifierVisibilityTimeoutS: 3 }
    const first = await starting(settings)
    await receiver.until(() => receiver.received.length === 1)
    await first.stop()
    answering = true
    await starting(settings)
    await receiver.until(() => receiver.received.length === 3)
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-1-ana', '0-2-ana'])
  })

  it('NOTE14 a message being delivered stays hidden from others for as long as that takes', async () => {
    const outside = await queueOutside()
    let respond: (() => void) | undefined
    const receiver = await receiving((_, response) => {
      respond = () => response.writeHead(204).end()
    })
    const sink = await publisherTo(outside.settings)
    await sink.publish([bidNotification(1, 'ana', receiver.endpoint('ana'))])
    // Visibility of three seconds; without heartbeats the second notifier would have it before five are over.
    const settings = { ...outside.settings, notifierVisibilityTimeoutS: 3 }
    await starting(settings)
    await starting(settings)
    await receiver.until(() => receiver.received.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    respond?.()
    await sink.publish([bidNotification(2, 'ana', receiver.endpoint('ana'))])
    await receiver.until(() => receiver.received.length === 2)
    expect(idsTo(receiver, 'ana')).toEqual(['0-1-ana', '0-2-ana'])
  }, 30_000)

  it('NOTE9 dead letters go to the dead-letter queue, with the reason', async () => {
    const outside = await queueOutside()
    const receiver = await receiving((got, response) => {
      response.writeHead(got.path === '/gone' ? 410 : 204).end()
    })
    const house = await starting(outside.settings)
    await house.sink.publish([
      bidNotification(1, 'gone', receiver.endpoint('gone')),
      bidNotification(2, 'ana', receiver.endpoint('ana')),
    ])
    await receiver.until(() => receiver.received.length === 2)
    const { Messages } = await outside.client.send(
      new ReceiveMessageCommand({
        QueueUrl: await outside.urlOf('notification-events-dead-letter.fifo'),
        WaitTimeSeconds: 20,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['All'],
      }),
    )
    expect(JSON.parse(Messages?.[0]?.Body ?? '').id).toBe('0-1-gone')
    expect(Messages?.[0]?.MessageAttributes?.['reason']?.StringValue).toBe('the receiver is gone (410)')
    expect(Messages?.[0]?.Attributes?.MessageGroupId).toBe('gone')
  })

  it('NOTE9 the queue itself dead-letters what no notifier survives', async () => {
    const outside = await queueOutside()
    const house = await starting({ ...outside.settings, webhookAttemptsMax: 5 })
    await house.stop()
    const { Attributes } = await outside.client.send(
      new GetQueueAttributesCommand({
        QueueUrl: await outside.urlOf('notification-events.fifo'),
        AttributeNames: ['All'],
      }),
    )
    const policy = JSON.parse(Attributes?.['RedrivePolicy'] ?? '{}')
    expect(policy.maxReceiveCount).toBe(15)
    expect(policy.deadLetterTargetArn).toMatch(/:notification-events-dead-letter\.fifo$/)
  })

  it('NOTE3 a publisher without a queue is refused', async () => {
    await expect(publisherTo({})).rejects.toMatchObject({ code: 'queue_url_missing', retryable: false })
    expect(() => configOf({ sqsQueueUrl: 'https://sqs.eu-west-1.amazonaws.com/1/plain' })).toThrow('FIFO')
  })
})
