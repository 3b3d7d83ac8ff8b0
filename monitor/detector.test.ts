import { describe, expect, test } from 'vitest'
import type { GroupId, ServerId } from '../protocol/ids.ts'
import { Detector, detectorLimits } from './detector.ts'
import type { Heartbeat } from './heartbeat-codec.ts'

const s1 = 's1' as ServerId
const heartbeat: Heartbeat = { type: 'heartbeat', sockets: 3, epochs: [{ groupId: 0 as GroupId, epoch: 4 }] }
const names = (detector: Detector, nowMs: number) => detector.suspects(nowMs).map((one) => one.serverId)

function up(): Detector {
  const detector = new Detector()
  detector.opened(s1, 1)
  detector.received(1, heartbeat)
  return detector
}

describe('the detector', () => {
  test('WATCH3 a socket that closes is a death at once, with the epochs of the last heartbeat', () => {
    const detector = up()
    expect(detector.suspects(10)).toEqual([])
    detector.closed(1, 10)
    expect(detector.suspects(10)).toEqual([
      { serverId: s1, reason: 'closed', epochs: new Map([[0 as GroupId, 4]]) },
    ])
    expect(detector.isUp(s1)).toBe(false)
    detector.opened(s1, 2)
    expect(names(detector, 11)).toEqual([])
    expect(detector.isUp(s1)).toBe(true)
  })

  test('WATCH3 of two connections of a server the newer one speaks', () => {
    const detector = up()
    detector.opened(s1, 2)
    detector.closed(1, 5)
    expect(names(detector, 5)).toEqual([])
    detector.closed(2, 6)
    expect(names(detector, 6)).toEqual([s1])
  })

  test('WATCH4 a silence of seven ticks is a death, and a heartbeat ends it', () => {
    const detector = up()
    for (let tick = 1; tick < detectorLimits.silentTicksMax; tick++) detector.tick(tick * 50)
    expect(names(detector, 300)).toEqual([])
    detector.tick(350)
    expect(detector.suspects(350)).toMatchObject([{ reason: 'silent' }])
    detector.received(1, heartbeat)
    expect(names(detector, 351)).toEqual([])
  })

  test('WATCH4 a monitor that was asleep listens before it judges', () => {
    const detector = up()
    for (let tick = 1; tick <= 6; tick++) detector.tick(tick * 50)
    detector.tick(60_000, 59_700)
    for (let tick = 1; tick <= 6; tick++) detector.tick(60_000 + tick * 50)
    expect(names(detector, 60_300)).toEqual([])
    detector.tick(60_350)
    expect(names(detector, 60_350)).toEqual([s1])
  })

  test('WATCH4 ticks that come late themselves prove no silence', () => {
    const detector = up()
    for (let tick = 1; tick <= 40; tick++) detector.tick(tick * 100, 100)
    expect(names(detector, 4_000)).toEqual([])
    for (let tick = 1; tick <= 7; tick++) detector.tick(4_000 + tick * 50)
    expect(names(detector, 4_350)).toEqual([s1])
  })

  test('WATCH5 one that leaves by plan is no suspect, however its socket ends', () => {
    const detector = up()
    detector.leaving(1)
    for (let tick = 1; tick < 50; tick++) detector.tick(tick * 50)
    detector.closed(1, 3_000)
    expect(names(detector, 9_000)).toEqual([])
    expect(detector.watched(9_000)).toMatchObject([{ serverId: s1, state: 'left' }])
  })

  test('WATCH6 one that goes up and down is given more time each time, until it was quiet for a minute', () => {
    const detector = up()
    const graces: number[] = []
    for (let flap = 0; flap < 16; flap++) {
      detector.opened(s1, 10 + flap)
      detector.closed(10 + flap, 1_000)
      let waited = 0
      while (names(detector, 1_000 + waited).length === 0) waited += 100
      graces.push(waited)
    }
    expect(graces).toEqual([...Array(10).fill(0), 500, 1_000, 2_000, 4_000, 8_000, 8_000])
    detector.opened(s1, 99)
    detector.closed(99, 61_000)
    expect(names(detector, 61_000)).toEqual([s1])
  })

  test('WATCH6 a settled server is forgotten once its flaps are', () => {
    const detector = up()
    detector.closed(1, 10)
    detector.settled(s1, 20)
    expect(names(detector, 20)).toEqual([])
    expect(detector.watched(20)).toMatchObject([{ flaps: 1 }])
    detector.settled(s1, 90_000)
    expect(detector.watched(90_000)).toEqual([])
  })

  test('WATCH2 a server beyond the bound is refused', () => {
    const detector = new Detector({ ...detectorLimits, serversMax: 1 })
    detector.opened(s1, 1)
    expect(detector.hasRoomFor('s2' as ServerId)).toBe(false)
    expect(detector.hasRoomFor(s1)).toBe(true)
  })
})
