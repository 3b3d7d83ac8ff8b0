import { describe, expect, it, vi } from 'vitest'
import type { SubjectId } from '../../protocol/ids.ts'
import { knownFeatures } from '../machine/features.ts'
import { group } from '../peers/testing/fixtures.ts'
import { FakeCluster } from './testing/fake-cluster.ts'
import { VirtualWorld } from './testing/virtual.ts'
import { decodeHouse, encodeHouse } from './view-codec.ts'

// No release has a feature yet: the test brings one.
vi.mock('../machine/feature-numbers.ts', () => ({ featureNumbers: { test_feature: 4 } }))

const zero = group(0)

describe('the house over the link', () => {
  it('LINK2: the view of a house comes back equal', () => {
    const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 900 }
    const revoked = { allUntilMs: 5, subjects: [['ann' as SubjectId, 9] as const] }
    const increments = { EUR: [{ from: 0, step: 5 }], JPY: [{ from: 0, step: 100 }] }
    for (const both of [settings, { ...settings, increments }]) {
      const view = { settings: both, features: [1], knownFeatures: [1, 2, 65_535], revoked }
      expect(decodeHouse(encodeHouse(view))).toEqual(view)
    }
  })

  it('HOUSE4, HOUSE6: is read like any other state; features known to all connected nodes count', async () => {
    const world = new VirtualWorld(3)
    const cluster = new FakeCluster(3)
    for (const node of cluster.nodes) await world.serve(node)
    const link = await world.link('server', cluster.nodes)
    await world.run(50)
    const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 900 }
    await world.settled(link.propose(zero, { type: 'configure_house', settings, features: knownFeatures }))
    expect(await world.settled(link.house(zero))).toEqual({
      settings,
      revoked: { allUntilMs: 0, subjects: [] },
      features: knownFeatures,
      knownFeatures,
    })
    expect(await world.settled(link.knownFeatures())).toEqual(knownFeatures)
    cluster.node(3).isOlder = true
    expect(await world.settled(link.knownFeatures())).toEqual([])
    // A node that is down does not count.
    world.wires.kill('node-3:1')
    await world.run(50)
    expect(await world.settled(link.knownFeatures())).toEqual(knownFeatures)
    await world.close()
  })

  it('HOUSE6: no feature is known while no node is connected', async () => {
    const world = new VirtualWorld(4)
    const cluster = new FakeCluster(1)
    await world.serve(cluster.node(1))
    const link = await world.link('server', cluster.nodes)
    world.wires.kill('node-1:1')
    await world.run(50)
    await expect(link.knownFeatures()).rejects.toMatchObject({ code: 'unavailable' })
    await world.close()
  })
})
