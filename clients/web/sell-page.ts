/**
 * The page that opens an auction: a form, with a preview beside it.
 * Invariant: sending twice makes one auction: the idempotency key stays for as long as the content does. A page
 * whose reader may not sell shows no form.
 */
import type { RequestId } from '../../protocol/ids.ts'
import { ProblemError } from '../core/index.ts'
import { type App, sentenceFor, type View } from './app.ts'
import { newId } from './browser.ts'
import { button, h, setText } from './dom.ts'
import { hashOf } from './route.ts'
import { sellFields } from './sell-fields.ts'
import { readSellForm, type Terms } from './sell-form.ts'
import { sellPreview } from './sell-preview.ts'

export function sellPage(app: App): View {
  const { identity } = app
  const maySell = identity?.roles.some((role) => role === 'seller' || role === 'operator') === true
  if (!maySell) return { element: signInFirst(identity !== undefined), title: 'Sell', leave() {} }

  const sender = termsSender(app)
  const fields = sellFields(check)
  const form = h('form', { class: 'panel form', novalidate: true }, ...fields.elements, ...sender.elements)
  const preview = sellPreview(app, fields.read())
  const element = h(
    'section',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Sell something')),
    h('div', { class: 'sell' }, form, preview.element),
  )

  function read() {
    return readSellForm(fields.read(), app.session.serverNowMs())
  }

  function check(): void {
    const result = read()
    fields.showFaults(result.ok ? {} : result.faults)
  }

  form.addEventListener('input', () => {
    sender.clear()
    check()
    preview.update(fields.read())
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    fields.visitAll()
    check()
    const result = read()
    if (result.ok) void sender.send(result.terms)
    else fields.focusFirst(result.faults)
  })
  return { element, title: 'Sell', leave: () => preview.leave() }
}

/** The end of the form: the button, and what became of sending. */
function termsSender(app: App) {
  const message = h('p', { class: 'message', role: 'alert' })
  const submit = h(
    'button',
    { type: 'submit', class: 'button button-primary button-tall' },
    'Open the auction',
  )
  let sent: { readonly content: string; readonly key: RequestId } | undefined

  return {
    elements: [message, h('div', { class: 'form-end' }, submit)],
    /** Takes the message about the last attempt away. */
    clear: () => setText(message, ''),
    async send(terms: Terms): Promise<void> {
      const content = JSON.stringify(terms)
      if (sent?.content !== content) sent = { content, key: newId() as RequestId }
      submit.disabled = true
      setText(submit, 'Opening…')
      try {
        const auction = await app.http.createAuction(terms, sent.key)
        app.say(auction.status === 'scheduled' ? 'The auction is planned.' : 'The auction is open.', 'good')
        app.go(hashOf({ page: 'auction', id: auction.id }))
      } catch (error) {
        if (error instanceof ProblemError) sent = undefined
        setText(message, sentenceFor(error))
        message.dataset['tone'] = 'bad'
        submit.disabled = false
        setText(submit, 'Open the auction')
      }
    },
  }
}

function signInFirst(isSignedIn: boolean): HTMLElement {
  const command = h('code', {}, 'npx martillo token --role seller --subject YOUR-NAME')
  return h(
    'section',
    { class: 'page page-narrow' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Sell something')),
    h(
      'div',
      { class: 'panel' },
      h('p', {}, isSignedIn ? 'You are signed in, but not as a seller.' : 'To sell, sign in as a seller.'),
      h('p', { class: 'hint' }, 'The house gives sellers a token. On the machine where it runs:'),
      h('p', { class: 'command' }, command),
      button(
        'I have a token',
        () => {
          location.hash = hashOf({ page: 'account' })
        },
        { class: 'button button-primary' },
      ),
    ),
  )
}
