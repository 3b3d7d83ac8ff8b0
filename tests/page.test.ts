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

test.runIf(here)(
  'CLIENT19, CLIENT20, CLIENT21 a page that hears nothing says so in time, and is current at once when it hears again',
  async () => {
    const operator = houseHttp(house.url, house.operatorToken())
    const { id } = await operator.createAuction({
      title: 'A sextant',
      tags: [],
      openingBid: 1_000,
      durationMs: 3_600_000,
    })
    await page.goto(`${house.url}/#/auction/${id}`)
    await page.locator('#bid-amount').fill('15.00')
    await page.getByRole('button', { name: 'Place bid' }).click()
    await page.getByText('You lead', { exact: true }).waitFor()
    const { token } = await operator.registerBuyer({ name: 'Cy', interests: [] })
    const rival = houseHttp(house.url, token)

    await page.context().setOffline(true)
    await page.locator('.standing[data-tone=stale]').waitFor({ timeout: 5_000 })
    await rival.placeBid({ auctionId: id, amount: 3_000 })
    expect(await page.getByText(/You lead|Live/).allTextContents()).toEqual([])
    expect(await page.getByText('You led then.').isVisible()).toBe(true)
    // Long enough for pauses of several seconds between attempts, had the network not come back.
    await new Promise((resolve) => setTimeout(resolve, 8_000))
    const onlineAtMs = performance.now()
    await page.context().setOffline(false)
    await page.getByText('You are outbid').waitFor({ timeout: 4_000 })
    expect(performance.now() - onlineAtMs).toBeLessThan(4_000)

    // A house that hangs: nothing tells the page, only silence.
    house.process.kill('SIGSTOP')
    try {
      const heartbeatMs = 15_000
      await page.locator('.standing[data-tone=stale]').waitFor({ timeout: 1.5 * heartbeatMs })
      expect(await page.getByRole('button', { name: 'Place bid' }).isVisible()).toBe(false)
    } finally {
      house.process.kill('SIGCONT')
    }
    await page.locator('.standing[data-tone=stale]').waitFor({ state: 'hidden' })
    await page.getByText('You are outbid').waitFor()
    expect(complaints).toEqual([])
  },
)

test.runIf(!here)('left out: Chromium is not installed (apt-get install chromium)', () => {
  expect(here).toBe(false)
})
