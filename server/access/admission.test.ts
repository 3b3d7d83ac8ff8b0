import { describe, expect, test } from 'vitest'
import type { SubjectId } from '../../protocol/ids.ts'
import { type ConfigError, loadConfig } from '../../runtime/config.ts'
import type { HttpRequest } from '../carrier/socket.ts'
import { serverSection } from '../config.ts'
import { Admission } from './admission.ts'
import type { Identity } from './auth.ts'

function configWith(overrides: Record<string, unknown> = {}) {
  return loadConfig({ server: serverSection }, { env: {}, overrides }).server
}

function requestFrom(peerAddress: string, forwarded = ''): HttpRequest {
  return {
    method: 'GET',
    path: '/',
    query: '',
    peerAddress,
    header: (name) => (name === 'x-forwarded-for' ? forwarded : ''),
  }
}

const ann: Identity = {
  subject: 'ann' as SubjectId,
  roles: ['bidder'],
  issuedAtMs: 0,
  isOwn: true,
  expiresAtMs: 9e15,
}
const operator: Identity = {
  subject: 'operator' as SubjectId,
  roles: ['operator'],
  issuedAtMs: 0,
  isOwn: true,
  expiresAtMs: 9e15,
}

describe('addresses', () => {
  test('RATE5 the address is that of the connection, in its plain form', () => {
    const admission = new Admission(configWith())
    expect(admission.addressOf(requestFrom('192.0.2.7'))).toBe('192.0.2.7')
    expect(admission.addressOf(requestFrom('0000:0000:0000:0000:0000:ffff:c000:0207'))).toBe('192.0.2.7')
    expect(admission.addressOf(requestFrom('::ffff:192.0.2.7'))).toBe('192.0.2.7')
    expect(admission.addressOf(requestFrom('2001:db8::1'))).toBe('2001:db8::1')
    expect(admission.addressOf(requestFrom('192.0.2.7', '10.0.0.1'))).toBe('192.0.2.7')
  })

  test('RATE5 behind trusted proxies the address is the last in the chain that is not one; nonsense ends the chain', () => {
    const admission = new Admission(configWith({ trustedProxies: ['10.0.0.0/8', 'fd00::/8'] }))
    expect(admission.addressOf(requestFrom('10.0.0.1', '192.0.2.7'))).toBe('192.0.2.7')
    expect(admission.addressOf(requestFrom('10.0.0.1', '6.6.6.6, 192.0.2.7, 10.9.9.9'))).toBe('192.0.2.7')
    expect(admission.addressOf(requestFrom('fd00::1', '2001:db8::5'))).toBe('2001:db8::5')
    expect(admission.addressOf(requestFrom('10.0.0.1', 'unknown'))).toBe('10.0.0.1')
    expect(admission.addressOf(requestFrom('10.0.0.1', '192.0.2.7, ,'))).toBe('10.0.0.1')
    expect(admission.addressOf(requestFrom('192.0.2.9', '10.0.0.1'))).toBe('192.0.2.9')
  })

  test('RATE5 IPv6 clients count by their /64, IPv4 clients one by one', () => {
    const admission = new Admission(configWith({ requestsPerSecond: 1, requestsBurst: 1 }))
    const take = (address: string) => admission.request(undefined, address, 0)
    expect(take('2001:db8:0:1::1')).toBe(0)
    expect(take('2001:0db8:0000:0001:ffff::2')).toBeGreaterThan(0)
    expect(take('2001:db8:0:2::1')).toBe(0)
    expect(take('192.0.2.1')).toBe(0)
    expect(take('192.0.2.2')).toBe(0)
    expect(take('192.0.2.1')).toBeGreaterThan(0)
  })

  test('RATE5 a subject has a rate of its own, from any address; an operator has none', () => {
    const admission = new Admission(configWith({ requestsPerSecond: 1, requestsBurst: 1 }))
    expect(admission.request(undefined, '192.0.2.1', 0)).toBe(0)
    expect(admission.request(ann, '192.0.2.1', 0)).toBe(0)
    expect(admission.request(ann, '198.51.100.1', 0)).toBeGreaterThan(0)
    for (let at = 0; at < 100; at += 1) expect(admission.request(operator, '192.0.2.1', 0)).toBe(0)
  })

  test('HTTP11 the operator network is where it was configured, and never behind an unknown proxy', () => {
    const admission = new Admission(
      configWith({ operatorNetworks: ['10.1.0.0/16'], trustedProxies: ['10.2.0.1'] }),
    )
    expect(admission.isFromOperator(requestFrom('10.1.2.3'), undefined)).toBe(true)
    expect(admission.isFromOperator(requestFrom('127.0.0.1'), undefined)).toBe(false)
    expect(admission.isFromOperator(requestFrom('127.0.0.1'), operator)).toBe(true)
    expect(admission.isFromOperator(requestFrom('127.0.0.1'), ann)).toBe(false)
    expect(admission.isFromOperator(requestFrom('10.1.2.3', '192.0.2.7'), undefined)).toBe(false)
    expect(admission.isFromOperator(requestFrom('10.2.0.1', '10.1.2.3'), undefined)).toBe(true)
    expect(admission.isFromOperator(requestFrom('10.2.0.1', '192.0.2.7'), undefined)).toBe(false)
  })

  test('RATE7 sockets are counted by subject, or by address without one, until they close', () => {
    const admission = new Admission(configWith({ socketsMax: 4, socketsPerAddressMax: 2 }))
    expect(admission.socketOpened(undefined, '192.0.2.1')).toBe('admitted')
    expect(admission.socketOpened(undefined, '192.0.2.1')).toBe('admitted')
    expect(admission.socketOpened(undefined, '192.0.2.1')).toBe('address_full')
    expect(admission.socketOpened(ann, '192.0.2.1')).toBe('admitted')
    expect(admission.socketOpened(undefined, '192.0.2.2')).toBe('admitted')
    expect(admission.socketOpened(undefined, '192.0.2.3')).toBe('server_full')
    expect(admission.socketOpened(operator, '192.0.2.3')).toBe('admitted')
    admission.socketClosed(undefined, '192.0.2.1')
    admission.socketClosed(operator, '192.0.2.3')
    expect(admission.socketCount).toBe(3)
    expect(admission.socketOpened(undefined, '192.0.2.1')).toBe('admitted')
  })
})

describe("the server's settings", () => {
  const faultsOf = (
    overrides: Record<string, unknown>,
    env: Record<string, string> = {},
  ): readonly string[] => {
    try {
      loadConfig({ server: serverSection }, { env, overrides })
      return []
    } catch (error) {
      return (error as ConfigError).faults
    }
  }

  test('CONFIG8 the defaults are valid together, and each setting has a line of doc', () => {
    expect(faultsOf({})).toEqual([])
    for (const [key, setting] of Object.entries(serverSection.settings)) expect(setting.doc, key).not.toBe('')
  })

  test('CONFIG8 limits that leave no room for each other are refused with the reason', () => {
    expect(faultsOf({ jwksUrl: 'https://a.example', jwksFile: 'x' })[0]).toContain('set one')
    expect(faultsOf({ socketsMax: 10 })[0]).toContain('socketsPerAddressMax')
    expect(faultsOf({ subscriptionsMax: 10 })[0]).toContain('subscriptionsPerSocketMax')
    expect(faultsOf({ bidsPerSecond: 3000 })[0]).toContain('burst')
    expect(faultsOf({ queuedBytesMax: 4096 })[0]).toContain('queuedBytesMax')
  })

  test('CONFIG8 a value that is no network, address, secret, id or currency is refused', () => {
    for (const [key, value] of [
      ['trustedProxies', 'example.com'],
      ['trustedProxies', '10.0.0.0/33'],
      ['operatorNetworks', '10.0.0.0/8/8'],
      ['operatorNetworks', '::1/x'],
      ['jwksUrl', 'ftp://x'],
      ['jwksUrl', 'https://'],
      ['jwtSecret', 'short'],
      ['serverId', 'a b'],
      ['defaultCurrency', 'usd'],
    ] as const)
      expect(faultsOf({ [key]: value }), `${key}=${value}`).toHaveLength(1)
    expect(faultsOf({}, { MARTILLO_JWT_SECRET: 'short' })[0]).not.toContain('"short"')
  })
})
