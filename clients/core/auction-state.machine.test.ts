/** The view that a client keeps up from events against the machine's own, over random streams of commands. */
import { describe, expect, it } from 'vitest'
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { publicEventFrame, wireView } from '../../server/frames.ts'
import type { PrivateEvent, PublicEvent } from '../../state-cluster/machine/events.ts'
import { apply, auctionView, emptyState } from '../../state-cluster/machine/index.ts'
import { Stream } from '../../state-cluster/machine/testing/streams.ts'
import { applyEvent } from './auction-state.ts'

const isPublic = (event: PublicEvent | PrivateEvent): event is PublicEvent =>
  event.type !== 'outbid' && event.type !== 'won' && event.type !== 'lost'

function snapshotOf(state: ReturnType<typeof emptyState>, id: AuctionId): AuctionView {
  const view = auctionView(state, id)
  if (view === undefined) throw new Error(`there is no auction ${id}`)
  return wireView(view)
}

describe('CLIENT16 applyEvent', () => {
  it('CLIENT16 arrives at the view that a new snapshot shows, after every entry', () => {
    let compared = 0
    for (let seed = 1; seed <= 25; seed += 1) {
      const state = emptyState()
      const stream = new Stream(seed)
      const kept = new Map<AuctionId, AuctionView>()
      for (let turn = 0; turn < 250; turn += 1) {
        const touched = new Set<AuctionId>()
        for (const event of apply(state, stream.next()).events.filter(isPublic)) {
          const { auctionId } = event
          touched.add(auctionId)
          const known = kept.get(auctionId)
          if (known !== undefined) kept.set(auctionId, applyEvent(known, publicEventFrame(event)))
        }
        for (const id of touched) {
          const snapshot = snapshotOf(state, id)
          const known = kept.get(id)
          if (known === undefined) kept.set(id, snapshot)
          else {
            // An auction may change hands after its event, in the same entry.
            kept.set(id, { ...known, owner: snapshot.owner, epoch: snapshot.epoch })
            expect(kept.get(id), `seed ${seed}, turn ${turn}`).toEqual(snapshot)
            compared += 1
          }
        }
      }
      for (const [id, known] of kept) {
        const snapshot = snapshotOf(state, id)
        // A new owner is no event of the auction: bidders have nothing to do with it.
        const { owner, epoch } = snapshot
        expect({ ...known, owner, epoch }, `seed ${seed}, at the end`).toEqual(snapshot)
      }
    }
    expect(compared).toBeGreaterThan(1000)
  })
})
