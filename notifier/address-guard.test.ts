import type { LookupAddress } from 'node:dns'
import { describe, expect, it } from 'vitest'
import { AddressRefused, endpointFault, guardedLookup, isPublicAddress } from './address-guard.ts'

const lookUp = (addresses: LookupAddress[], all: boolean) =>
  new Promise((resolve, reject) => {
    guardedLookup((_, then) => then(null, addresses))('shop.example', { all }, (error, found) =>
      error ? reject(error) : resolve(found),
    )
  })

describe('NOTE13 addresses of webhooks', () => {
  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
  ])('NOTE13 %s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])(
    'NOTE13 %s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  it.each([
    ['ftp://shop.example/hook', 'neither http nor https'],
    ['file:///etc/passwd', 'neither http nor https'],
    ['shop.example/hook', 'not an address'],
    ['http://user:word@shop.example/', 'carries a user name or password'],
    ['http://127.0.0.1/', 'not an address of the open internet'],
    ['http://2130706433/', 'not an address of the open internet'],
    ['http://0x7f.1/', 'not an address of the open internet'],
    ['http://[::1]:8080/', 'not an address of the open internet'],
    ['http://[::ffff:10.0.0.1]/', 'not an address of the open internet'],
    [`https://shop.example/${'a'.repeat(2_048)}`, 'longer than 2048 characters'],
  ])('NOTE13 %s is refused', (endpoint, fault) => {
    expect(endpointFault(endpoint, false)).toBe(fault)
  })

  it('NOTE13 takes http and https, and private ones where they are allowed', () => {
    expect(endpointFault('https://shop.example/hook?a=b', false)).toBeUndefined()
    expect(endpointFault('http://8.8.8.8:81/', false)).toBeUndefined()
    expect(endpointFault('http://127.0.0.1:3000/', true)).toBeUndefined()
    expect(endpointFault('ftp://127.0.0.1/', true)).toBe('neither http nor https')
  })

  it('NOTE13 a name is judged by its addresses when it is connected to', async () => {
    const inside = { address: '10.0.0.1', family: 4 }
    const outside = { address: '8.8.8.8', family: 4 }
    await expect(lookUp([inside], true)).rejects.toThrow(AddressRefused)
    await expect(lookUp([inside], false)).rejects.toThrow('shop.example')
    await expect(lookUp([], true)).rejects.toThrow(AddressRefused)
    expect(await lookUp([inside, outside], true)).toEqual([outside])
    expect(await lookUp([inside, outside], false)).toBe('8.8.8.8')
  })
})
