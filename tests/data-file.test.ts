/**
 * A house of one process whose data file is lost or damaged while it is down: it says so and ends, and is not taken for
 * a new house; with the file back, everything is there.
 */
import { cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuctionId } from '../protocol/ids.ts'
import { houseHttp } from './bidder.ts'
import { martillo, removeFolder, startHouse, temporaryFolder } from './processes.ts'

const folder = temporaryFolder()
const dataDir = join(folder, 'data')
const state = join(dataDir, 'state')
const file = join(state, 'data.mdb')
const whole = join(folder, 'whole')
let auctionId: AuctionId

beforeAll(async () => {
  const house = await startHouse({ dataDir })
  const operator = houseHttp(house.url, house.operatorToken())
  const terms = { title: 'A sextant', tags: [], openingBid: 100, durationMs: 3_600_000 }
  auctionId = (await operator.createAuction(terms)).id
  expect(await house.stop()).toMatchObject({ code: 0 })
  cpSync(dataDir, whole, { recursive: true })
})

afterAll(() => removeFolder(folder))

const faults: readonly (readonly [string, string, () => void])[] = [
  ['the file is deleted', 'is missing', () => rmSync(file)],
  ['its folder is deleted', 'is missing', () => rmSync(state, { recursive: true })],
  ['the file is emptied', 'is empty', () => truncateSync(file, 0)],
  ['the file is cut to a half', 'is cut short', () => truncateSync(file, statSync(file).size >> 1)],
  ['the file is cut to its first page', 'is cut short', () => truncateSync(file, 4_096)],
  ['the file is cut to its first two pages', 'is cut short', () => truncateSync(file, 8_192)],
  ['its first pages are garbage', 'has no description', () => garble(0, 8_192)],
  ['its description is garbage', 'has no description', () => garble(20, 100)],
  ['the pages after it are garbage', 'is damaged at page', () => garble(8_192, statSync(file).size)],
]

describe('a house without its data file', () => {
  for (const [what, said, make] of faults) {
    test(`STORE19 and STORE20: ${what}: the start ends with a line that says what to do`, async () => {
      rmSync(dataDir, { recursive: true })
      cpSync(whole, dataDir, { recursive: true })
      make()
      const args = ['start', '--port', '0', '--data', dataDir]
      for (let attempt = 0; attempt < 2; attempt++) {
        const { code, signal, stdout, stderr } = await martillo(args)
        expect([code, signal, stdout]).toEqual([1, null, ''])
        expect(stderr).toContain(`${file} ${said}`)
        expect(stderr).toMatch(/restore a backup.*remove \S+state\.made/)
      }
      expect(existsSync(file) && statSync(file).size > 0, 'nothing new in its place').toBe(
        said !== 'is missing' && said !== 'is empty',
      )
    })
  }

  test('STORE19: with the file back, the house has what it had', async () => {
    rmSync(dataDir, { recursive: true })
    cpSync(whole, dataDir, { recursive: true })
    const house = await startHouse({ dataDir })
    expect(await houseHttp(house.url).auction(auctionId)).toMatchObject({ title: 'A sextant' })
    expect(await house.stop()).toMatchObject({ code: 0 })
  })

  test('STORE19: begun anew on purpose, it is a new house', async () => {
    rmSync(state, { recursive: true })
    rmSync(`${state}.made`)
    const house = await startHouse({ dataDir })
    await expect(houseHttp(house.url).auction(auctionId)).rejects.toThrow()
    await house.stop('SIGKILL')
  })
})

function garble(from: number, to: number): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, from, to)
  writeFileSync(file, bytes)
}
