/**
 * The web page as a person meets it, in Chromium: the list, a live auction, registering, bidding, being outbid
 * while looking, and a house that dies and comes back. Left out, and said so, where Chromium is not installed.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { houseHttp } from './bidder.ts'
import { freePort, type House, hasTool, removeFolder, startHouse, temporaryFolder } from './processes.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)
const here = hasTool('chromium', executablePath ?? 'chromium', ['--version'])
const dataDir = temporaryFolder()
let house: House
let port: number
let browser: Browser
let page: Page
const complaints: string[] = []

beforeAll(async () => {
  if (!here) return
  port = await freePort()
  house = await startHouse({ dataDir, port })
  browser = await chromium.launch({
    ...(executablePath === undefined ? {} : { executablePath }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-sync',
    ],
  })
  page = await browser.newPage()
  page.setDefaultTimeout(60_000)
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket connection/.test(message.text()))
      complaints.push(message.text())
  })
})
afterAll(async () => {
  await browser?.close()
  await house?.stop()
  removeFolder(dataDir)
})

test.runIf(here)(
  'a person finds an auction, registers, bids, is outbid live, and outlives the house',
  async () => {
    const operator = houseHttp(house.url, house.operatorToken())
    const auction = await operator.createAuction({
      title: "A ship's clock",
      tags: ['clocks'],
      openingBid: 1_000,
      durationMs: 3_600_000,
    })
    await page.goto(house.url)
    await page.getByText("A ship's clock").click()
    await page.getByRole('heading', { name: "A ship's clock" }).waitFor()
    await page.getByText('$10.00').first().waitFor()

    await page.getByText('Register to bid').click()
    await page.getByLabel('Name', { exact: false }).first().fill('Ada')
    await page
      .getByRole('button', { name: /register/i })
      .first()
      .click()
    await page.goto(`${house.url}/#/auction/${auction.id}`)
    await page.locator('#bid-amount').fill('15.00')
    await page.getByRole('button', { name: 'Place bid' }).click()
    await page.getByText('You lead, with a maximum of $15.00.').waitFor()

    const { token } = await operator.registerBuyer({ name: 'Bob', interests: [] })
    await houseHttp(house.url, token).placeBid({ auctionId: auction.id, amount: 3_000 })
    await page.getByText('$15.50').first().waitFor()
    await page
      .getByText(/outbid/i)
      .first()
      .waitFor()

    await house.stop('SIGKILL')
    await page
      .getByText(/reconnecting/i)
      .first()
      .waitFor()
    house = await startHouse({ dataDir, port })
    await page
      .getByText(/reconnecting/i)
      .first()
      .waitFor({ state: 'hidden' })
    await page.locator('#bid-amount').fill('40.00')
    await page.getByRole('button', { name: 'Place bid' }).click()
    await page.getByText('You lead, with a maximum of $40.00.').waitFor()
    expect((await operator.auction(auction.id)).price).toBe(3_100)
    expect(complaints).toEqual([])
  },
)

test.runIf(!here)('left out: Chromium is not installed (apt-get install chromium)', () => {
  expect(here).toBe(false)
})
