import { afterEach, describe, expect, it } from 'vitest'
import type { AuctionId } from '../../../protocol/ids.ts'
import { until } from '../../../wire/testing/fixtures.ts'
import { createAuction, enlistServer, placeBid } from '../testing/fake-cluster.ts'
import { addressesOf, bids, closeAll, lot, openLink, openNodes, range, zero } from '../testing/tcp-nodes.ts'

afterEach(closeAll)

describe('proposals over the link', () => {
  it('LINK5: commands of one turn travel as one batch per group, in order, each with its own reply', async () => {
    const state = await openNodes(1, 3)
    const cluster = await openLink(addressesOf(state))
    const ids = range(1, 60).map((at) => `auction-${at}`)
    const replies = await Promise.all(
      ids.map((id) => cluster.propose(cluster.groupOf(id as AuctionId), createAuction(id))),
    )
    expect(replies.map((reply) => reply.ok && reply.type === 'auction' && reply.auctionId)).toEqual(ids)
    expect(state.fake.node(1).proposals).toBe(3)
    for (const groupId of cluster.groups) {
      const expected = ids.filter((id) => cluster.groupOf(id as AuctionId) === groupId)
      const commands = state.fake.commandsOf(groupId)
      expect(commands.map((command) => 'auctionId' in command && command.auctionId)).toEqual(expected)
    }
  })

  it('LINK5: more commands than one request may hold go in several, still in order', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state))
    const ids = range(1, 2_500).map((at) => `auction-${at}`)
    await Promise.all(ids.map((id) => cluster.propose(zero, createAuction(id))))
    expect(state.fake.node(1).proposals).toBe(3)
    expect(state.fake.commandsOf(zero).map((command) => 'auctionId' in command && command.auctionId)).toEqual(
      ids,
    )
    const long = range(1, 12).map((at) => createAuction(`long-${at}`, 'x'.repeat(200_000)))
    for (const reply of await Promise.all(long.map((command) => cluster.propose(zero, command)))) {
      expect(reply).toMatchObject({ ok: false, code: 'terms_invalid' })
    }
    expect(state.fake.node(1).proposals).toBe(6)
  })

  it('LINK5: proposals follow the leader when it moves, and wait while there is none', async () => {
    const state = await openNodes(3)
    const cluster = await openLink(addressesOf(state))
    await cluster.propose(zero, createAuction(lot))
    for (const leaderId of [2, 3, 1, 2]) {
      state.fake.elect(leaderId)
      const before = state.fake.node(leaderId).proposals
      expect((await bids(cluster, leaderId * 10, leaderId * 10))[0]?.ok).toBeDefined()
      expect(state.fake.node(leaderId).proposals).toBeGreaterThan(before)
    }
    state.fake.elect(0)
    const waiting = cluster.propose(zero, placeBid(lot, 'late', 999_000))
    await until(() => !cluster.status().ready)
    state.fake.elect(3)
    expect(await waiting).toMatchObject({ ok: true })
    expect(
      state.fake.commandsOf(zero).filter((command) => 'subject' in command && command.subject === 'late')
        .length,
    ).toBe(1)
  })

  it('LINK5: with no leader until the deadline a command is unavailable, and was not proposed', async () => {
    const state = await openNodes(2)
    const cluster = await openLink(addressesOf(state), { proposalTimeoutMs: 150 })
    state.fake.elect(0)
    await until(() => !cluster.status().ready)
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unavailable' })
    state.fake.elect(1)
    state.fake.node(1).refuses = 'unavailable'
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unavailable' })
    expect(state.fake.commandsOf(zero)).toEqual([])
  })

  it('LINK6: a leader that dies after it appended: the retry goes to the next one and counts once', async () => {
    const state = await openNodes(3)
    const cluster = await openLink(addressesOf(state))
    await cluster.propose(zero, createAuction(lot))
    state.fake.node(1).isMute = true
    const replies = bids(cluster, 5, 9)
    await until(() => state.fake.commandsOf(zero).length === 6)
    await state.nodes[0]?.close()
    state.fake.elect(2)
    for (const reply of await replies) expect(reply).toMatchObject({ ok: true, type: 'bid' })
    expect(state.fake.commandsOf(zero).length).toBe(11)
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 5, price: 180_000 })
  })

  it('LINK6: when a leader loses only its peers, a later leader gets the commands at once', async () => {
    const state = await openNodes(3)
    const cluster = await openLink(addressesOf(state), {
      attemptTimeoutMs: 60_000,
      proposalTimeoutMs: 60_000,
    })
    await cluster.propose(zero, createAuction(lot))
    state.fake.node(1).cutOff()
    const replies = bids(cluster, 5, 9)
    await until(() => state.fake.node(1).proposals === 2)
    state.fake.elect(2)
    for (const reply of await replies) expect(reply).toMatchObject({ ok: true, type: 'bid' })
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 5 })
  })

  it('LINK6: a command without a reply is sent again with the same request id', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state), { attemptTimeoutMs: 60 })
    await cluster.propose(zero, createAuction(lot))
    state.fake.node(1).isMute = true
    const reply = cluster.propose(zero, placeBid(lot, 'bob', 5_000))
    await until(() => state.fake.commandsOf(zero).length >= 3)
    state.fake.node(1).isMute = false
    expect(await reply).toMatchObject({ ok: true, type: 'bid', price: 5_000 })
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 1 })
    const [, first, again] = state.fake.commandsOf(zero)
    expect(first).not.toHaveProperty('ageMs')
    expect(again).toMatchObject({ type: 'place_bid', ageMs: expect.any(Number) })
    expect((again as { ageMs: number }).ageMs).toBeGreaterThanOrEqual(60)
  })

  it('LINK6: a command that may not be repeated is unknown, and was proposed once', async () => {
    const state = await openNodes(2)
    const cluster = await openLink(addressesOf(state), { attemptTimeoutMs: 40 })
    state.fake.node(1).isMute = true
    const registered = cluster.propose(zero, enlistServer)
    const outcome = expect(registered).rejects.toMatchObject({ code: 'unknown', retryable: true })
    await until(() => state.fake.commandsOf(zero).length === 1)
    await state.nodes[0]?.close()
    state.fake.elect(2)
    await outcome
    expect(state.fake.commandsOf(zero).length).toBe(1)
  })

  it('LINK6: an outcome that stays unknown until the deadline is reported as unknown', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state), { attemptTimeoutMs: 40, proposalTimeoutMs: 200 })
    state.fake.node(1).isMute = true
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unknown' })
    state.fake.node(1).isMute = false
    state.fake.node(1).refuses = 'unknown'
    await expect(cluster.propose(zero, createAuction('other'))).rejects.toMatchObject({ code: 'unknown' })
  })

  it('LINK6: a command that may have been proposed is never reported as overloaded', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state), { attemptTimeoutMs: 40, proposalTimeoutMs: 60_000 })
    state.fake.node(1).isMute = true
    const reply = cluster.propose(zero, createAuction(lot))
    await until(() => state.fake.commandsOf(zero).length > 0)
    state.fake.node(1).refuses = 'overloaded'
    const before = state.fake.node(1).proposals
    await until(() => state.fake.node(1).proposals > before + 2)
    state.fake.node(1).refuses = undefined
    state.fake.node(1).isMute = false
    expect(await reply).toMatchObject({ ok: true, auctionId: lot })
  })

  it('LINK7: at the bounds, commands and reads are refused as overloaded; the others go through', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state), { commandsMax: 100, readsMax: 50, statusMs: 60_000 })
    const proposals = range(1, 150).map((at) => cluster.propose(zero, createAuction(`auction-${at}`)))
    const outcomes = await Promise.allSettled(proposals)
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled').length).toBe(100)
    expect(outcomes[100]).toMatchObject({
      status: 'rejected',
      reason: { code: 'overloaded', retryable: true },
    })
    const found = await Promise.allSettled(
      range(1, 80).map((at) => cluster.auction(`auction-${at}` as AuctionId)),
    )
    expect(found.filter((outcome) => outcome.status === 'fulfilled').length).toBe(50)
    expect(found[60]).toMatchObject({ reason: { code: 'overloaded' } })
    state.fake.node(1).refuses = 'overloaded'
    await expect(cluster.propose(zero, createAuction('one-more'))).rejects.toMatchObject({
      code: 'overloaded',
    })
    const bytes = await openLink(addressesOf(state), { commandBytesMax: 1_000 })
    state.fake.node(1).refuses = undefined
    const long = await Promise.allSettled(
      range(1, 20).map((at) => bytes.propose(zero, createAuction(`bytes-${at}`))),
    )
    expect(long.some((outcome) => outcome.status === 'rejected')).toBe(true)
    expect(long[0]?.status).toBe('fulfilled')
  })
})
