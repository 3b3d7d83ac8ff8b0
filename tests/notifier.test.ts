import { constants, getPriority } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { localQueueUrl, startLocalQueue } from '../notifier/local-queue.ts'
import { collect, freePort, removeFolder, spawnMartillo, temporaryFolder, until } from './processes.ts'

let folder: string
let queue: Awaited<ReturnType<typeof startLocalQueue>>

beforeAll(async () => {
  folder = temporaryFolder()
  queue = await startLocalQueue()
})

afterAll(async () => {
  await queue.stop()
  removeFolder(folder)
})

test('NOTE17 a notifier of its own leaves the processor to those who serve bids', async () => {
  const port = await freePort()
  const child = spawnMartillo(['notifier', '--data', folder], {
    SQS_QUEUE_URL: localQueueUrl(queue, 'notification-events.fifo'),
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: queue.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: queue.credentials.secretAccessKey,
    MARTILLO_HEALTH_PORT: String(port),
  })
  const output = collect(child)
  try {
    await until('it is up', async () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    const least = constants.priority.PRIORITY_BELOW_NORMAL
    expect(getPriority(child.pid as number)).toBe(Math.max(getPriority(), least))
  } finally {
    child.kill('SIGTERM')
  }
  expect(await output.exit).toMatchObject({ code: 0 })
})
