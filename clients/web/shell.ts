/**
 * The frame around every view: navigation, identity, connection state, colours, toasts.
 * Invariant: the connection is mentioned only while it is silent, lost or closed; screen readers read it once.
 */
import type { Session, SessionState } from '../core/index.ts'
import type { Tone } from './app.ts'
import { button, h, icon, setAttribute, setText, show } from './dom.ts'
import type { Identity } from './identity.ts'
import { hashOf, type Route } from './route.ts'
import { staleAfterMs } from './stale-mark.ts'

const themeKey = 'martillo.theme'
const themes = ['auto', 'light', 'dark'] as const
type Theme = (typeof themes)[number]

const themeLabels: Readonly<Record<Theme, string>> = {
  auto: 'Colours: as the system',
  light: 'Colours: light',
  dark: 'Colours: dark',
}
const themeIcons = { auto: 'half', light: 'sun', dark: 'moon' } as const

/** Puts the chosen colours on the page. */
export function applyTheme(): Theme {
  const stored = localStorage.getItem(themeKey)
  const theme = themes.find((known) => known === stored) ?? 'auto'
  setAttribute(document.documentElement, 'data-theme', theme === 'auto' ? undefined : theme)
  return theme
}

export interface Masthead {
  readonly element: HTMLElement
  showRoute(route: Route): void
}

export function masthead(session: Session, identity: Identity | undefined): Masthead {
  const auctions = navLink({ page: 'list', filter: { status: 'open' } }, 'Auctions')
  const sell = navLink({ page: 'sell' }, 'Sell')
  const account = navLink({ page: 'account' }, identity === undefined ? 'Sign in' : nameOf(identity))
  account.classList.add('account-link')
  account.prepend(icon('person'))
  const connection = connectionSign(session)
  const element = h(
    'div',
    { class: 'masthead-inner' },
    h('a', { class: 'brand', href: '#/' }, h('span', { class: 'brand-mark' }, icon('gavel')), 'Martillo'),
    h('nav', { class: 'nav', 'aria-label': 'Main' }, auctions, sell),
    h('div', { class: 'masthead-end' }, connection, account),
  )
  return {
    element,
    showRoute(route) {
      for (const [link, pages] of [
        [auctions, ['list', 'auction']],
        [sell, ['sell']],
        [account, ['account']],
      ] as const)
        setAttribute(link, 'aria-current', pages.some((page) => page === route.page) ? 'page' : undefined)
    },
  }
}

export function footer(): HTMLElement {
  const label = h('span')
  const toggle = button('', next, { class: 'button button-quiet theme-toggle' }, label)
  function draw(theme: Theme): void {
    label.replaceChildren(icon(themeIcons[theme]), themeLabels[theme])
  }
  function next(): void {
    const theme = themes[(themes.indexOf(applyTheme()) + 1) % themes.length] as Theme
    localStorage.setItem(themeKey, theme)
    draw(applyTheme())
    document.dispatchEvent(new Event('themechange'))
  }
  draw(applyTheme())
  return h(
    'div',
    { class: 'footer-inner' },
    h('p', {}, 'One order of bids, the same for everybody. Times are the house’s own.'),
    toggle,
  )
}

export function nameOf(identity: Identity): string {
  return identity.name ?? (identity.id.length > 14 ? `${identity.id.slice(0, 12)}…` : identity.id)
}

function navLink(route: Route, label: string): HTMLAnchorElement {
  return h('a', { class: 'nav-link', href: hashOf(route) }, h('span', {}, label))
}

/** `undefined` while all is well. */
export function connectionWords(state: SessionState, isLive: boolean): string | undefined {
  if (state.name === 'open') return isLive ? undefined : 'The house is silent'
  if (state.name === 'connecting')
    return state.retryInMs === undefined ? 'Connecting' : 'The house does not answer'
  if (state.name === 'closed')
    return state.reason === 'token' ? 'Signed out by the house' : 'Disconnected: reload the page'
  return state.reason === 'drain' || state.reason === 'restart' ? 'The house changes servers' : 'Reconnecting'
}

function connectionSign(session: Session): HTMLElement {
  const text = h('span')
  const element = h(
    'span',
    { class: 'connection', role: 'status', hidden: true },
    h('i', { class: 'pulse' }),
    text,
  )
  let timer = 0
  const draw = (): void => {
    const words = connectionWords(session.state, session.isLive)
    window.clearTimeout(timer)
    if (words === undefined) show(element, false)
    else
      timer = window.setTimeout(() => {
        setText(text, words)
        show(element, true)
      }, staleAfterMs)
  }
  session.on('state', draw)
  session.on('live', draw)
  draw()
  return element
}

const toastMs = 6_000
const toastsMax = 3

/** Shows a message for a few seconds; it stays while the pointer is on it. */
export function toast(text: string, tone: Tone): void {
  const box = document.getElementById('toasts')
  if (box === null) return
  const element = h('p', { class: `toast toast-${tone}` }, icon(tone === 'bad' ? 'alert' : 'check'), text)
  box.append(element)
  while (box.childElementCount > toastsMax) box.firstElementChild?.remove()
  const leave = (): void => {
    if (element.matches(':hover')) window.setTimeout(leave, toastMs)
    else element.remove()
  }
  window.setTimeout(leave, toastMs)
}
