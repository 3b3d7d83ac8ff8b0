/**
 * The filters of the list: links for the status, a search field for the tag.
 * Invariant: a filter is an address; choosing one goes there and changes nothing else.
 */
import { type AuctionStatus, auctionStatuses } from '../../protocol/auction-view.ts'
import { statusInWords } from './auction-card.ts'
import { h } from './dom.ts'
import { hashOf, type ListFilter } from './route.ts'

const shownStatuses: readonly (AuctionStatus | undefined)[] = [
  'open',
  'scheduled',
  'sold',
  'passed',
  undefined,
]

/** The heading of a list. */
export function headingOf(filter: ListFilter): string {
  const words = filter.status === undefined ? 'All auctions' : `${listWords(filter.status)} auctions`
  return filter.tag === undefined ? words : `${words}: ${filter.tag}`
}

function listWords(status: AuctionStatus): string {
  return status === 'passed' ? 'Unsold' : statusInWords(status)
}

/** Why a list is empty. */
export function emptyWords(filter: ListFilter): string {
  if (filter.tag !== undefined) return `Nothing tagged “${filter.tag}” here.`
  return filter.status === 'open' ? 'Nothing is under the hammer right now.' : 'Nothing here yet.'
}

/** `go` opens the address of a filter. */
export function listFilters(go: (hash: string) => void, filter: ListFilter): HTMLElement {
  return h('div', { class: 'filters' }, statusLinks(filter), tagForm(go, filter))
}

function statusLinks(filter: ListFilter): HTMLElement {
  const withTag = filter.tag === undefined ? {} : { tag: filter.tag }
  const known = shownStatuses.includes(filter.status)
    ? shownStatuses
    : [...auctionStatuses.filter((status) => status === filter.status), ...shownStatuses]
  const links = known.map((status) => {
    const target: ListFilter = status === undefined ? withTag : { status, ...withTag }
    const isCurrent = status === filter.status
    return h(
      'a',
      {
        class: 'segment',
        href: hashOf({ page: 'list', filter: target }),
        'aria-current': isCurrent ? 'true' : undefined,
      },
      status === undefined ? 'All' : listWords(status),
    )
  })
  return h('nav', { class: 'segments', 'aria-label': 'Status' }, ...links)
}

function tagForm(go: (hash: string) => void, filter: ListFilter): HTMLElement {
  const tag = h('input', {
    type: 'search',
    id: 'tag-filter',
    placeholder: 'Filter by tag',
    value: filter.tag ?? '',
    autocomplete: 'off',
    enterkeyhint: 'search',
  })
  const form = h(
    'form',
    { class: 'tag-filter', role: 'search' },
    h('label', { class: 'visually-hidden', for: 'tag-filter' }, 'Filter by tag'),
    tag,
  )
  const apply = (): void => {
    const value = tag.value.trim().toLowerCase()
    const { status } = filter
    const target: ListFilter = {
      ...(status === undefined ? {} : { status }),
      ...(value === '' ? {} : { tag: value }),
    }
    if (value !== (filter.tag ?? '')) go(hashOf({ page: 'list', filter: target }))
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    apply()
  })
  tag.addEventListener('change', apply)
  return form
}
