/**
 * The controls of an auction's seller or operator: close, pause, extend, cancel.
 * Invariant: an action that cannot be undone needs a second confirmation.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { isEnded } from '../core/index.ts'
import { type App, sentenceFor } from './app.ts'
import { askTwice } from './ask-twice.ts'
import { button, h, show } from './dom.ts'

export interface SellerDesk {
  readonly element: HTMLElement
  update(auction: AuctionView): void
}

const extendByMs = 300_000

export function sellerDesk(app: App, auctionId: AuctionId): SellerDesk {
  const buttons: HTMLButtonElement[] = []

  async function ask(work: () => Promise<unknown>, done: string): Promise<void> {
    for (const each of buttons) each.disabled = true
    try {
      await work()
      app.say(done, 'good')
    } catch (error) {
      app.say(sentenceFor(error), 'bad')
    } finally {
      for (const each of buttons) each.disabled = false
    }
  }

  const add = (
    label: string,
    work: () => Promise<unknown>,
    done: string,
    question?: string,
  ): HTMLButtonElement => {
    const sure = () => (question === undefined ? Promise.resolve(true) : askTwice(question, label))
    const made = button(label, () => {
      void sure().then((isSure) => (isSure ? ask(work, done) : undefined))
    })
    buttons.push(made)
    return made
  }
  const { http } = app
  const close = add(
    'Bring the hammer down',
    () => http.manage(auctionId, 'close'),
    'The auction is closed.',
    'Close this auction now? It goes to the highest bidder, if the reserve is met.',
  )
  const extend = add('5 minutes more', () => http.extend(auctionId, extendByMs), 'Five minutes more.')
  const pause = add('Pause', () => http.manage(auctionId, 'pause'), 'The auction is paused.')
  const resume = add('Resume', () => http.manage(auctionId, 'resume'), 'The auction goes on.')
  const cancel = add(
    'Cancel',
    () => http.manage(auctionId, 'cancel'),
    'The auction is cancelled.',
    'Cancel this auction? Nobody gets it, and it cannot be opened again.',
  )
  cancel.classList.add('button-danger')
  const element = h(
    'section',
    { class: 'panel desk', 'aria-labelledby': 'desk-title' },
    h('h2', { id: 'desk-title' }, 'At the rostrum'),
    h('div', { class: 'desk-buttons' }, close, extend, pause, resume, cancel),
  )
  return {
    element,
    update(auction) {
      show(element, !isEnded(auction))
      show(close, auction.status === 'open')
      show(extend, auction.status === 'open')
      show(pause, auction.status === 'open')
      show(resume, auction.status === 'paused')
    },
  }
}
