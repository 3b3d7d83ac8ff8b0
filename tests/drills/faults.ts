/**
 * Faults for drills, one function each.
 *
 * Each makes its fault under load, waits until service is whole, and records what bidders saw and which auctions must
 * have been extended.
 *
 * Invariant: a fault leaves the deployment as it found it, with all stations running; it claims for the audit only what
 * the rules make certain (OUTAGE1 to OUTAGE8).
 */
import type { AuctionId } from '../../protocol/ids.ts'
import { healthHeaders, until } from '../processes.ts'
import type { Station } from '../station.ts'
import type { Scene } from './drill.ts'
import { type Bidder, pause } from './load.ts'

/** A group without a leader for longer than this makes its owners' silence an outage (OUTAGE8), with room for doubt. */
const certainOutageMs = 1_500
/** What may pass between the end of an outage by stamps and the moment that a bidder sees it. */
const noticeMs = 1_000
const patienceMs = 60_000

export type Fault = (scene: Scene) => Promise<void>

/** Auctions that close within the next seconds: the fault meets some before, some at and some after their close. */
export async function wave(scene: Scene, count = 30, fromMs = 1_500, toMs = 6_000): Promise<void> {
  await scene.load.createAuctions(count, fromMs, toMs)
  scene.count('auctionsInWaves', count)
}

/** Ids of the open auctions of one server, as the public listing has them, those that close last at the end. */
async function ownedBy(scene: Scene, server: Station): Promise<Set<AuctionId>> {
  const owned: { readonly id: AuctionId; readonly closesAt: number }[] = []
  for (let after: string | undefined, isLast = false; !isLast; ) {
    const query = {
      tag: 'drill',
      status: 'open',
      limit: 100,
      ...(after === undefined ? {} : { after }),
    } as const
    const page = await scene.load.operator.auctions(query)
    for (const auction of page.auctions) if (auction.owner === server.name) owned.push(auction)
    after = page.next
    isLast = after === undefined
  }
  owned.sort((a, b) => a.closesAt - b.closesAt)
  return new Set(owned.map(({ id }) => id))
}

/** Waits until each of these bidders had a bid accepted since; adds the gaps. */
async function untilAllBid(
  scene: Scene,
  bidders: readonly Bidder[],
  sinceMs: number,
  name: string,
  isKilled: boolean,
): Promise<void> {
  const gapOf = (bidder: Bidder): number | undefined => scene.load.gapOfMs(bidder, sinceMs, isKilled)
  const late = (): readonly Bidder[] => bidders.filter((bidder) => gapOf(bidder) === undefined)
  let wavesLeft = 10
  let nextWaveMs = performance.now() + 3_000
  await until(
    'bidders of that server bid again',
    async () => {
      // Bidders can only bid where something is open.
      if (late().length > 0 && performance.now() > nextWaveMs && wavesLeft-- > 0) {
        nextWaveMs += 3_000
        await wave(scene, 6, 6_000, 9_000)
      }
      return late().length === 0
    },
    patienceMs,
  )
  for (const bidder of bidders) {
    scene.gap(name, gapOf(bidder) as number)
    const open = bidder.opens.find(({ atMs }) => atMs >= sinceMs)
    if (open !== undefined) scene.gap('faultToNewSocket', open.atMs - sinceMs)
  }
}

/** From now to the next accepted bid of anybody. */
export async function untilAnyBids(scene: Scene, sinceMs: number, name: string): Promise<number> {
  let gapMs: number | undefined
  let nextWaveMs = performance.now() + 5_000
  await until(
    'bids are acknowledged again',
    async () => {
      gapMs = scene.load.gapMs(sinceMs)
      if (gapMs === undefined && performance.now() > nextWaveMs) {
        nextWaveMs += 5_000
        await wave(scene, 6, 6_000, 9_000)
      }
      return gapMs !== undefined
    },
    patienceMs,
  )
  const gap = gapMs as unknown as number
  scene.gap(name, gap)
  return gap
}

/** Writes down an outage of the whole group, if it was long enough for the rules to be certain. */
function groupOutage(scene: Scene, name: string, fromMs: number, gapMs: number): void {
  const lengthMs = gapMs > certainOutageMs ? gapMs - noticeMs : 0
  scene.outages.push({ name, fromMs, toMs: fromMs + lengthMs })
}

export const readyAgain = (scene: Scene, server: Station): Promise<void> =>
  until(`${server.name} is ready`, () => scene.cluster.isReady(server)).catch((error: Error) => {
    scene.missed.push(error.message)
  })

/** The server with the most bidders, so that the fault affects some. */
function busiest({ cluster, load }: Scene): Station {
  const countOf = (server: Station): number =>
    load.bidders.filter((bidder) => bidder.server === server.url).length
  return [...cluster.servers].sort((a, b) => countOf(b) - countOf(a))[0] as Station
}

/** One server goes; `leave` makes that so. Returns the moment, and whom it hit. */
async function serverGone(
  scene: Scene,
  name: string,
  leave: (victim: Station) => void,
): Promise<{ readonly victim: Station; readonly sinceMs: number; readonly hit: readonly Bidder[] }> {
  const { cluster, load } = scene
  await wave(scene)
  await pause(500 + scene.random.unit() * 1_200)
  const victim = busiest(scene)
  const owned = await ownedBy(scene, victim)
  const hit = load.bidders.filter((bidder) => bidder.server === victim.url)
  const fromMs = Date.now()
  const sinceMs = performance.now()
  leave(victim)
  scene.count(name)
  scene.count('biddersHit', hit.length)
  scene.count('auctionsHit', owned.size)
  if (cluster.monitors.length > 0) {
    scene.outages.push({ name, fromMs, toMs: fromMs, auctionIds: owned, isOwnerDead: true })
    await newOwner(scene, victim, owned, sinceMs)
  } else scene.outages.push({ name, fromMs, toMs: fromMs, auctionIds: owned })
  return { victim, sinceMs, hit }
}

/** Looks through a server that lives when one of the auctions has another owner. */
async function newOwner(
  scene: Scene,
  victim: Station,
  owned: ReadonlySet<AuctionId>,
  sinceMs: number,
): Promise<void> {
  const survivor = scene.cluster.servers.find((server) => server !== victim)
  const [id] = [...owned].reverse()
  if (survivor === undefined || id === undefined) return
  let isOpen = true
  await until('a new owner is known', async () => {
    const response = await fetch(`${survivor.url}/auctions/${id}`).catch(() => undefined)
    const view = (await response?.json()) as { readonly owner?: string; readonly status?: string } | undefined
    // It ended before the fault: an auction that is over keeps the owner that it had.
    isOpen = view?.status === undefined || view.status === 'open'
    return !isOpen || (view?.owner !== undefined && view.owner !== victim.name)
  })
  if (isOpen) scene.gap('faultToNewOwner', performance.now() - sinceMs)
}

export const killServer: Fault = async (scene) => {
  const { victim, sinceMs, hit } = await serverGone(scene, 'serversKilled', (server) => void server.kill())
  await untilAllBid(scene, hit, sinceMs, 'killToAcceptedBid', true)
  await victim.start()
  await readyAgain(scene, victim)
}

/** The server sleeps long enough to be found dead, and wakes up believing that it still conducts. */
export const pauseServer: Fault = async (scene) => {
  const { victim, sinceMs, hit } = await serverGone(scene, 'serversPaused', (server) => server.pause())
  await pause(Math.max(0, 3_000 - (performance.now() - sinceMs)))
  victim.resume()
  await readyAgain(scene, victim)
  await untilAllBid(scene, hit, sinceMs, 'pauseToAcceptedBid', false)
}

/** `closing`: auctions that close around it. */
export const killLeader = async (scene: Scene, closing = 30): Promise<void> => {
  const { cluster } = scene
  if (closing > 0) await wave(scene, closing)
  await pause(scene.random.unit() * 1_500)
  const leader = await cluster.untilLed()
  const term = await cluster.termOf(leader)
  const fromMs = Date.now()
  const sinceMs = performance.now()
  const isGone = leader.kill()
  scene.count('leadersKilled')
  const gapMs = await untilAnyBids(scene, sinceMs, 'leaderKillToNextBid')
  groupOutage(scene, 'no leader', fromMs, gapMs)
  await isGone
  const next = await cluster.untilLed()
  if ((await cluster.termOf(next)) <= term)
    scene.missed.push(`${leader.name} did not lead when it was killed`)
  await leader.start()
  await cluster.untilCaughtUp(leader)
}

export const killFollower: Fault = async (scene) => {
  const { cluster } = scene
  await wave(scene)
  const leader = await cluster.untilLed()
  const followers = cluster.nodes.filter((node) => node !== leader)
  const follower = followers[scene.random.below(followers.length)] as Station
  const sinceMs = performance.now()
  await follower.kill()
  scene.count('followersKilled')
  await untilAnyBids(scene, sinceMs, 'followerKillToNextBid')
  await pause(scene.random.unit() * 1_000)
  await follower.start()
  await cluster.untilCaughtUp(follower)
}

/** The leader sleeps; another leads; the old one wakes up and must find out. */
export const pauseLeader: Fault = async (scene) => {
  const { cluster } = scene
  await wave(scene)
  await pause(scene.random.unit() * 1_000)
  const leader = await cluster.untilLed()
  const fromMs = Date.now()
  const sinceMs = performance.now()
  leader.pause()
  scene.count('leadersPaused')
  const gapMs = await untilAnyBids(scene, sinceMs, 'leaderPauseToNextBid')
  groupOutage(scene, 'leader paused', fromMs, gapMs)
  await pause(1_000)
  leader.resume()
  await cluster.untilCaughtUp(leader)
}

/** What a monitor's page says. */
async function isActing(monitor: Station): Promise<boolean> {
  const response = await fetch(`${monitor.healthUrl}/status`, {
    headers: healthHeaders,
    signal: AbortSignal.timeout(1_000),
  }).catch(() => undefined)
  if (response === undefined) return false
  return ((await response.json()) as { readonly isActing?: boolean }).isActing === true
}

export async function actingMonitor(scene: Scene): Promise<Station> {
  let acting: Station | undefined
  await until('a monitor acts', async () => {
    for (const monitor of scene.cluster.monitors) {
      if (monitor.isRunning && (await isActing(monitor))) acting = monitor
    }
    return acting !== undefined
  })
  return acting as unknown as Station
}

/** The acting monitor is killed, and a server just after it: the standby must reassign its auctions. */
export const killMonitor: Fault = async (scene) => {
  const acting = await actingMonitor(scene)
  await acting.kill()
  scene.count('monitorsKilled')
  await killServer(scene)
  await acting.start()
}

/** The acting monitor sleeps while a server dies, and wakes up when its twin has seen to it. */
export const pauseMonitor: Fault = async (scene) => {
  const acting = await actingMonitor(scene)
  acting.pause()
  scene.count('monitorsPaused')
  await killServer(scene)
  acting.resume()
  await actingMonitor(scene)
}

/** With no monitor at all, what runs keeps running and closes in time. */
export const killAllMonitors: Fault = async (scene) => {
  const { cluster } = scene
  await Promise.all(cluster.monitors.map((monitor) => monitor.kill()))
  scene.count('monitorsKilled', cluster.monitors.length)
  const sinceMs = performance.now()
  await wave(scene, 20, 1_000, 2_500)
  await untilAnyBids(scene, sinceMs, 'withoutMonitorsToNextBid')
  await pause(3_000)
  await Promise.all(cluster.monitors.map((monitor) => monitor.start()))
  await actingMonitor(scene)
}

export const loseMajority: Fault = async (scene) => {
  const { cluster } = scene
  await wave(scene, 40, 1_500, 8_000)
  await pause(scene.random.unit() * 1_000)
  const leader = await cluster.untilLed()
  const lost = scene.random.chance(0.5)
    ? cluster.nodes.filter((node) => node !== leader)
    : [leader, cluster.nodes.find((node) => node !== leader) as Station]
  const fromMs = Date.now()
  const sinceMs = performance.now()
  await Promise.all(lost.map((node) => node.kill()))
  scene.count('majoritiesLost')
  await pause(2_500)
  await Promise.all(lost.map((node) => node.start()))
  const gapMs = await untilAnyBids(scene, sinceMs, 'majorityLostToNextBid')
  groupOutage(scene, 'no majority', fromMs, gapMs)
  for (const node of lost) await cluster.untilCaughtUp(node)
}

/** Power goes everywhere at once. */
export const restartAll: Fault = async (scene) => {
  const { cluster } = scene
  await wave(scene, 40, 1_500, 9_000)
  await pause(scene.random.unit() * 1_000)
  const all = [...cluster.nodes, ...cluster.servers, ...cluster.monitors]
  const fromMs = Date.now()
  const sinceMs = performance.now()
  await Promise.all(all.map((station) => station.kill()))
  scene.count('clustersKilled')
  await pause(2_000)
  // State nodes do not wait for each other, servers and monitors wait for state nodes.
  await Promise.all(all.map((station) => station.start()))
  const gapMs = await untilAnyBids(scene, sinceMs, 'clusterKillToNextBid')
  groupOutage(scene, 'everything down', fromMs, gapMs)
}

/** Every process is stopped by plan and started again, one after the other. */
export const rollingRestart: Fault = async (scene) => {
  const { cluster, note } = scene
  for (const station of [...cluster.servers, ...cluster.nodes, ...cluster.monitors]) {
    await wave(scene, 20, 1_500, 5_000)
    const sinceMs = performance.now()
    const { code, signal } = await station.stop()
    if (code !== 0)
      scene.missed.push(`${station.name} ended with ${signal ?? code} when it was asked to stop`)
    note(`${station.name} stopped in ${Math.round(performance.now() - sinceMs)} ms`)
    await untilAnyBids(scene, performance.now(), 'stopToNextBid')
    await station.start()
    if (cluster.servers.includes(station)) await readyAgain(scene, station)
    if (cluster.nodes.includes(station)) await cluster.untilCaughtUp(station)
    scene.count('restarts')
  }
}
