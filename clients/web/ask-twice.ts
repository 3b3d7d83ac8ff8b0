/**
 * A question before what cannot be taken back, as a dialog of the browser's own. Invariant: only pressing the
 * button that names the deed counts as yes; closing it any other way is no.
 */
import { button, h } from './dom.ts'

/** Resolves with whether the deed is wanted. */
export function askTwice(question: string, deed: string): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'question' })
    dialog.append(
      h('p', { id: 'question' }, question),
      h(
        'div',
        { class: 'dialog-buttons' },
        button('Go back', () => dialog.close(), { class: 'button button-quiet' }),
        button(deed, () => dialog.close(deed), { class: 'button button-primary' }),
      ),
    )
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === deed)
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}
