/** A house on one machine whose clock was years ahead: the next start refuses, and an operator has a way out. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { call, martillo, removeFolder, startHouse, temporaryFolder } from './processes.ts'

const folder = temporaryFolder()
const hourMs = 3_600_000

afterAll(() => removeFolder(folder))

test('TIME5 and TIME8: a house that was years ahead is refused, accepted, shifted back, and sells', async () => {
  const dataDir = join(folder, 'house')
  const clockFile = join(folder, 'clock')
  const env = {
    NODE_OPTIONS: `--import=${new URL('drills/wrong-clock.mjs', import.meta.url).href}`,
    WRONG_CLOCK_FILE: clockFile,
  }
  writeFileSync(clockFile, String(73 * 365 * 24 * 3_600))
  const ahead = await startHouse({ dataDir, env })
  const auction = { title: 'A clock', tags: ['clocks'], openingBid: 100, durationMs: 2 * hourMs }
  const token = ahead.operatorToken()
  const path = '/auctions'
  expect(await call(ahead.url, 'POST', path, { token, body: auction })).toMatchObject({ status: 201 })
  await ahead.stop()

  const refused = await martillo(['start', '--json', '--port', '0', '--data', dataDir])
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.stderr).toMatch(/clock shows .* last entry was made at 2\d{3}-.*--accept-clock/)

  const house = await startHouse({ dataDir, args: ['--accept-clock'] })
  const shift = ['house', 'shift-clock', '--to', 'now', '--url', house.url, '--data', dataDir]
  expect(await martillo(shift)).toMatchObject({ code: 0 })
  const listed = await call(house.url, 'GET', path)
  const [view] = (listed.body as { auctions: { status: string; closesAt: number }[] }).auctions
  expect(view?.status).toBe('open')
  const leftMs = (view?.closesAt ?? 0) - Date.now()
  expect(leftMs).toBeGreaterThan(1.9 * hourMs)
  expect(leftMs).toBeLessThanOrEqual(2 * hourMs)
  expect(await house.stop()).toMatchObject({ code: 0 })

  const again = await startHouse({ dataDir })
  expect(await again.stop()).toMatchObject({ code: 0 })
})
