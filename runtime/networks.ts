/**
 * Networks and addresses: reading them from settings, and loopback.
 *
 * Invariant: an IPv4 address within IPv6 (`::ffff:127.0.0.1`) is judged as the IPv4 address. Source: docs/spec.md
 * CONFIG9; RFC 4291 §2.5.5.2.
 */
import { BlockList, isIP } from 'node:net'

type Family = 'ipv4' | 'ipv6'

const familyOf = (address: string): Family => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** `10.0.0.0/8`, `::1/128`, `192.0.2.7`. */
function readNetwork(text: string): [address: string, bits: number, family: Family] | undefined {
  const [address = '', bitsText, ...rest] = text.split('/')
  if (isIP(address) === 0 || rest.length > 0) return undefined
  const family = familyOf(address)
  const bitsMax = family === 'ipv4' ? 32 : 128
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return undefined
  const bits = bitsText === undefined ? bitsMax : Number(bitsText)
  return bits <= bitsMax ? [address, bits, family] : undefined
}

export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined
}

/** Addresses of any of the networks, which `isNetwork` has checked. */
export function networks(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of texts.map(readNetwork)) if (network !== undefined) list.addSubnet(...network)
  return list
}

/** Whether an address is in one of the networks; false for what is no IP address. */
export function isIn(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, familyOf(address))
}

const loopback = networks(['127.0.0.0/8', '::1'])

/** Whether a host is reached from this machine alone: `localhost` or a loopback address, with or without brackets. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isIn(loopback, host.replace(/^\[(.*)\]$/, '$1'))
}
