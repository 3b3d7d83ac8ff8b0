/**
 * The account page: who is signed in, registering as a buyer, pasting a token.
 * Invariant: a token is shown only when its owner asks for it.
 */

import type { RequestId } from '../../protocol/ids.ts'
import { endpointLengthMax, interestsMax, nameLengthMax, tagLengthMax } from '../../protocol/limits.ts'
import { ProblemError } from '../core/index.ts'
import { type App, sentenceFor, type View } from './app.ts'
import { newId } from './browser.ts'
import { button, h, setText } from './dom.ts'
import { field, textInput } from './field.ts'
import { type Identity, identityOf } from './identity.ts'
import { tagsOf } from './sell-form.ts'
import { nameOf } from './shell.ts'
import { termsList } from './terms-list.ts'
import { momentInWords } from './words.ts'

export function accountPage(app: App): View {
  const { identity } = app
  return {
    element: h(
      'section',
      { class: 'page page-narrow' },
      h(
        'div',
        { class: 'page-head' },
        h('h1', {}, identity === undefined ? 'Who are you?' : nameOf(identity)),
      ),
      ...(identity === undefined
        ? [registration(app), pasting(app)]
        : [signedIn(app, identity), pasting(app)]),
    ),
    title: 'Account',
    leave() {},
  }
}

function signedIn(app: App, identity: Identity): HTMLElement {
  const until = identity.expiresAtMs === undefined ? 'without end' : momentInWords(identity.expiresAtMs)
  const copy = button('Copy my token', () => {
    navigator.clipboard.writeText(identity.token).then(
      () => app.say('Copied. Keep it to yourself: who has it bids as you.', 'good'),
      () => app.say('The browser does not allow copying here.', 'bad'),
    )
  })
  return h(
    'div',
    { class: 'panel' },
    termsList([
      ['Signed in as', identity.id],
      ['You may', identity.roles.length === 0 ? 'watch' : identity.roles.map(roleInWords).join(', ')],
      ['Until', until],
    ]),
    h(
      'div',
      { class: 'form-end' },
      copy,
      button('Sign out', () => app.signOut(), { class: 'button button-danger' }),
    ),
  )
}

function roleInWords(role: string): string {
  return { bidder: 'bid', seller: 'sell', operator: 'run the house' }[role] ?? role
}

function registration(app: App): HTMLElement {
  const name = field('name', 'Your name', textInput({ maxlength: nameLengthMax, autocomplete: 'nickname' }), {
    hint: 'Other bidders never see it: to them you are a number.',
  })
  const interests = field('interests', 'Interests', textInput({ placeholder: 'clocks, maps' }), {
    optional: true,
    hint: 'Tags separated by commas. The house tells you of auctions that match.',
  })
  const endpoint = field('endpoint', 'Webhook', textInput({ type: 'url', placeholder: 'https://…' }), {
    optional: true,
    hint: 'Where the house posts notifications, if you run a receiver.',
  })
  const message = h('p', { class: 'message', role: 'alert' })
  const submit = h('button', { type: 'submit', class: 'button button-primary' }, 'Register')
  const form = h(
    'form',
    { class: 'panel form', novalidate: true },
    h('h2', {}, 'Register as a buyer'),
    name.element,
    interests.element,
    h('details', { class: 'details' }, h('summary', {}, 'For receivers of notifications'), endpoint.element),
    message,
    h('div', { class: 'form-end' }, submit),
  )
  let key: RequestId | undefined

  function faults(): boolean {
    const tags = tagsOf(interests.control.value)
    const nameFault = name.control.value.trim() === '' ? 'A name, please; any will do.' : undefined
    const tagsFault =
      tags.length > interestsMax
        ? `At most ${interestsMax} tags.`
        : tags.some((tag) => tag.length > tagLengthMax)
          ? `A tag has at most ${tagLengthMax} characters.`
          : undefined
    const address = endpoint.control.value.trim()
    const endpointFault =
      address === '' || (/^https?:\/\/\S+$/.test(address) && address.length <= endpointLengthMax)
        ? undefined
        : 'An address that begins with http:// or https://.'
    name.fault(nameFault)
    interests.fault(tagsFault)
    endpoint.fault(endpointFault)
    return nameFault !== undefined || tagsFault !== undefined || endpointFault !== undefined
  }

  form.addEventListener('input', () => {
    key = undefined
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (faults()) {
      form.querySelector<HTMLElement>('[aria-invalid]')?.focus()
      return
    }
    void register()
  })

  async function register(): Promise<void> {
    // The same key for a second try of the same content: one buyer is made.
    key ??= newId() as RequestId
    submit.disabled = true
    const address = endpoint.control.value.trim()
    try {
      const buyer = await app.http.registerBuyer(
        {
          name: name.control.value.trim(),
          interests: tagsOf(interests.control.value),
          ...(address === '' ? {} : { endpoint: address }),
        },
        key,
      )
      app.signIn(buyer.token, buyer.name)
      app.say(`Welcome, ${buyer.name}. You can bid now.`, 'good')
    } catch (error) {
      if (error instanceof ProblemError) key = undefined
      setText(message, sentenceFor(error))
      message.dataset['tone'] = 'bad'
      submit.disabled = false
    }
  }
  return form
}

function pasting(app: App): HTMLElement {
  const token = field(
    'token',
    'Token',
    h('textarea', { rows: 3, spellcheck: 'false', class: 'token-text' }),
    {
      hint: 'Sellers and operators get one from the house: npx martillo token --role seller --subject NAME',
    },
  )
  const form = h(
    'form',
    { class: 'panel form', novalidate: true },
    h('h2', {}, 'Sign in with a token'),
    token.element,
    h('div', { class: 'form-end' }, h('button', { type: 'submit', class: 'button' }, 'Sign in')),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const identity = identityOf(token.control.value)
    if (identity === undefined) token.fault('That is no token. It has three parts with points between them.')
    else if ((identity.expiresAtMs ?? Number.POSITIVE_INFINITY) <= Date.now())
      token.fault('This token has expired.')
    else {
      app.signIn(identity.token)
      app.say(`Signed in as ${nameOf(identity)}.`, 'good')
    }
  })
  return form
}
