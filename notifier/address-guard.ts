/**
 * Which network addresses a webhook may reach.
 * A buyer chooses the address, and the house's machine makes the request. Without a guard, every registered buyer
 * could make it send requests to its own network.
 * Invariant: the address that was checked is the address that is connected to (the check is in the lookup), so a
 * name whose address changes between the two gains nothing.
 * Source: IANA special-purpose address registries (RFC 6890 and its updates); OWASP "SSRF prevention".
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { isIP, isIPv4, type LookupFunction } from 'node:net'
import { isIn, networks } from '../runtime/networks.ts'

/** Longest webhook address, in characters. */
const endpointLengthMax = 2_048

const special = networks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Parts of global unicast that are reserved or tunnel to IPv4.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
])
const globalUnicast = networks(['2000::/3'])

/** Whether an IP address is one of the open internet: not loopback, private, link-local, reserved or tunnelled. */
export function isPublicAddress(address: string): boolean {
  return (isIPv4(address) || isIn(globalUnicast, address)) && !isIn(special, address)
}

/** A name that resolves to addresses which webhooks may not reach. */
export class AddressRefused extends Error {
  readonly code = 'address_refused'
  constructor(host: string) {
    super(`${host} is not an address of the open internet`)
    this.name = 'AddressRefused'
  }
}

/** Why an address cannot serve as a webhook, in words, or `undefined` when it can. Names are not resolved here. */
export function endpointFault(endpoint: string, privateAllowed: boolean): string | undefined {
  if (endpoint.length > endpointLengthMax) return `longer than ${endpointLengthMax} characters`
  if (!URL.canParse(endpoint)) return 'not an address'
  const url = new URL(endpoint)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'neither http nor https'
  if (url.username !== '' || url.password !== '') return 'carries a user name or password'
  const literal = url.hostname.replace(/^\[|\]$/g, '')
  if (!privateAllowed && isIP(literal) !== 0 && !isPublicAddress(literal))
    return 'not an address of the open internet'
  return undefined
}

type Resolve = (host: string, then: (error: Error | null, addresses: LookupAddress[]) => void) => void

const systemResolve: Resolve = (host, then) => {
  dnsLookup(host, { all: true, order: 'verbatim' }, (error, addresses) => then(error, addresses ?? []))
}

/** A lookup for sockets that yields public addresses alone; where there are none it fails with `AddressRefused`. */
export function guardedLookup(resolve: Resolve = systemResolve): LookupFunction {
  return (host, options, callback) => {
    resolve(host, (error, addresses) => {
      if (error) return callback(error, [])
      const open = addresses.filter(({ address }) => isPublicAddress(address))
      const [first] = open
      if (first === undefined) return callback(new AddressRefused(host), [])
      if (options.all) return callback(null, open)
      callback(null, first.address, first.family)
    })
  }
}
