/**
 * Starts the page and shows the view that the address names.
 * It does so again when the address or the identity changes. Invariant: one view is on the page at a time, and the
 * one before has left.
 */

import type { AuctionId } from '../../protocol/ids.ts'
import '@fontsource-variable/inter/wght.css'
import '@fontsource-variable/newsreader/wght.css'
import './style/index.css'
import { accountPage } from './account-page.ts'
import { type App, connect, identities, type View } from './app.ts'
import { listPage } from './list-page.ts'
import { lotPage } from './lot-page.ts'
import { type Route, routeOf } from './route.ts'
import { sellPage } from './sell-page.ts'
import { applyTheme, footer, type Masthead, masthead, toast } from './shell.ts'

const main = document.getElementById('main') as HTMLElement
let house = connect(identities.read())
let head: Masthead
let view: View | undefined

function app(): App {
  return {
    ...house,
    signIn(token, name) {
      if (identities.write(token, name) === undefined) return false
      reconnect()
      app().go(cameFrom ?? '#/')
      return true
    },
    signOut() {
      identities.clear()
      reconnect()
      render()
    },
    say: toast,
    go(hash) {
      if (location.hash === hash || (hash === '#/' && location.hash === '')) render()
      else location.hash = hash
    },
  }
}

function reconnect(): void {
  view?.leave()
  view = undefined
  house.session.close()
  house = connect(identities.read())
  frame()
}

/** The masthead belongs to an identity and its session. */
function frame(): void {
  head = masthead(house.session, house.identity)
  document.getElementById('masthead')?.replaceChildren(head.element)
  house.session.on('state', ({ name, reason }) => {
    if (name !== 'closed' || reason !== 'token') return
    // The house no longer accepts this token: continue without it.
    identities.clear()
    reconnect()
    render()
    toast('You are no longer signed in. Please sign in again.', 'bad')
  })
}

function viewOf(route: Route): View {
  switch (route.page) {
    case 'list':
      return listPage(app(), route.filter)
    case 'auction':
      return lotPage(app(), route.id as AuctionId)
    case 'sell':
      return sellPage(app())
    case 'account':
      return accountPage(app())
  }
}

/** Where the reader was before it went to sign in. */
let cameFrom: string | undefined
let lastHash = location.hash

function render(): void {
  const route = routeOf(location.hash)
  if (route.page === 'account' && routeOf(lastHash).page !== 'account') cameFrom = lastHash
  lastHash = location.hash
  view?.leave()
  view = viewOf(route)
  document.title = `${view.title} · Martillo`
  head.showRoute(route)
  main.replaceChildren(view.element)
}

applyTheme()
frame()
document.getElementById('footer')?.replaceChildren(footer())
render()
window.addEventListener('hashchange', () => {
  render()
  window.scrollTo(0, 0)
  main.focus({ preventScroll: true })
})
document.addEventListener('visibilitychange', () => {
  house.ticker.refresh()
  // Timers of a hidden page are late, and its machine may have slept.
  if (!document.hidden) house.session.networkChanged(true)
})
window.addEventListener('online', () => house.session.networkChanged(true))
window.addEventListener('offline', () => house.session.networkChanged(false))
