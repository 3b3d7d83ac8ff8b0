import { constants, getPriority } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startLocalQueue, variablesOf } from './local-queue.ts'
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

test('NOTE17 a notifier of its own runs at a lower priority than servers', async () => {
  const port = await freePort()
  const child = spawnMartillo(['notifier', '--data', folder], {
    ...variablesOf(queue),
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
