/**
 * Notifications of a house in one process: directly, across a kill, and over a queue where one is configured.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, type Receiver, startReceiver } from '../notifier/testing/receiver.ts'
import { type LocalQueueEndpoint, startLocalQueue, variablesOf } from './local-queue.ts'
import { call, type House, removeFolder, startHouse, temporaryFolder, until } from './processes.ts'

const folders: string[] = []
let receiver: Receiver
let queue: LocalQueueEndpoint
let isAnswering = true

const answer: Answer = (_, response) => {
  if (isAnswering) response.writeHead(204).end()
}

beforeAll(async () => {
  receiver = await startReceiver(answer)
  queue = await startLocalQueue()
})

afterAll(async () => {
  await receiver.stop()
  await queue.stop()
  for (const folder of folders) removeFolder(folder)
})

function newFolder(): string {
  const folder = temporaryFolder()
  folders.push(folder)
  return folder
}

async function announce(house: House, path: string): Promise<void> {
  const buyer = { name: 'Ada', interests: ['clocks'], endpoint: receiver.endpoint(path) }
  expect(await call(house.url, 'POST', '/buyers', { body: buyer })).toMatchObject({ status: 201 })
  const auction = { title: 'A clock', tags: ['clocks'], openingBid: 100, durationMs: 600_000 }
  const token = house.operatorToken()
  expect(await call(house.url, 'POST', '/auctions', { token, body: auction })).toMatchObject({ status: 201 })
}

const idsOf = (path: string) => receiver.received.filter((one) => one.path === `/${path}`).map(({ id }) => id)

test('NOTE3 a house that is killed before a webhook took a notification delivers it after the next start', async () => {
  const dataDir = newFolder()
  isAnswering = false
  const killed = await startHouse({ dataDir })
  await announce(killed, 'killed')
  await until('the webhook has the first attempt', () => idsOf('killed').length >= 1)
  await killed.stop('SIGKILL')
  isAnswering = true
  const second = await startHouse({ dataDir })
  await until('the webhook has it again', () => idsOf('killed').length >= 2)
  const [first] = idsOf('killed')
  const timesOfFirst = (): number => idsOf('killed').filter((id) => id === first).length
  // Registration may bring a message of its own, where the auction is there before it is published: then there are two.
  await until('all of it counts as delivered', async () => {
    const text = await (await fetch(`${second.url}/metrics`)).text()
    const delivered = /martillo_notifications_settled_total\{outcome="delivered"\} (\d+)/.exec(text)?.[1]
    return Number(delivered) === new Set(idsOf('killed')).size
  })
  expect(timesOfFirst()).toBe(2)
  expect(await second.stop()).toMatchObject({ code: 0 })
  const third = await startHouse({ dataDir })
  await announce(third, 'later')
  await until('a later one arrives', () => idsOf('later').length >= 1)
  // What counted as delivered is not delivered again.
  expect(timesOfFirst()).toBe(2)
  expect(await third.stop()).toMatchObject({ code: 0 })
})

test('NOTE3 with SQS_QUEUE_URL the notifications of one process pass through the queue', async () => {
  const house = await startHouse({
    dataDir: newFolder(),
    env: { ...variablesOf(queue), MARTILLO_LOG_LEVEL: 'info' },
  })
  await announce(house, 'queued')
  await until('the webhook has it', () => idsOf('queued').length >= 1)
  const { code, stderr } = await house.stop()
  expect(code).toBe(0)
  expect(stderr).toMatch(/"queueUrl":"http:\/\/[^"]+notification-events\.fifo".*"notifier_started"/)
})
