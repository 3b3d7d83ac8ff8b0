/**
 * Addresses inside the page, kept in the hash so that the server serves one file.
 * Invariant: `hashOf(routeOf(hash))` is the canonical form of every hash; an unknown one is the list.
 *
 *   #/?status=open&tag=clocks   the list       #/auction/ID   one auction
 *   #/sell                      a new auction  #/account      who you are
 */
import { type AuctionStatus, auctionStatuses } from '../../protocol/auction-view.ts'
import { isId } from '../../protocol/ids.ts'

export interface ListFilter {
  /** Absent: auctions of every status. */
  readonly status?: AuctionStatus
  readonly tag?: string
}

export type Route =
  | { readonly page: 'list'; readonly filter: ListFilter }
  | { readonly page: 'auction'; readonly id: string }
  | { readonly page: 'sell' }
  | { readonly page: 'account' }

const tagLengthMax = 64

/** Reads a location's hash, with or without its `#`. Without a status the open auctions are meant. */
export function routeOf(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2)
  const parts = path.split('/').filter((part) => part !== '')
  if (parts[0] === 'auction' && parts[1] !== undefined) {
    const id = decoded(parts[1])
    if (isId(id)) return { page: 'auction', id }
  }
  if (parts[0] === 'sell') return { page: 'sell' }
  if (parts[0] === 'account') return { page: 'account' }
  return { page: 'list', filter: filterOf(new URLSearchParams(query)) }
}

export function hashOf(route: Route): string {
  if (route.page === 'auction') return `#/auction/${encodeURIComponent(route.id)}`
  if (route.page !== 'list') return `#/${route.page}`
  const query = new URLSearchParams()
  if (route.filter.status !== 'open') query.set('status', route.filter.status ?? 'all')
  if (route.filter.tag !== undefined) query.set('tag', route.filter.tag)
  return query.size === 0 ? '#/' : `#/?${query}`
}

function filterOf(query: URLSearchParams): ListFilter {
  const wanted = query.get('status') ?? 'open'
  const status = auctionStatuses.find((known) => known === wanted)
  const tag = query.get('tag')?.trim().toLowerCase().slice(0, tagLengthMax)
  return {
    ...(status === undefined ? (wanted === 'all' ? {} : { status: 'open' as const }) : { status }),
    ...(tag === undefined || tag === '' ? {} : { tag }),
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
