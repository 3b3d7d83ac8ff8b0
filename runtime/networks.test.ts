import { expect, test } from 'vitest'
import { isIn, isLoopback, networks } from './networks.ts'

test('CONFIG9 loopback is localhost, 127.0.0.0/8 and ::1, also as IPv4 within IPv6', () => {
  const own = ['localhost', '127.0.0.1', '127.9.8.7', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']
  expect([...own, '[::ffff:127.0.0.1]', '::ffff:7f00:1'].filter((host) => !isLoopback(host))).toEqual([])
  const others = [
    '',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '::ffff:10.0.0.1',
    '127.0.0.1.example.com',
    'localhost.example',
  ]
  expect(others.filter(isLoopback)).toEqual([])
})

test('CONFIG9 an address is in a network of its family, and IPv4 within IPv6 in that of IPv4', () => {
  const list = networks(['10.0.0.0/8', 'fd00::/8', '192.0.2.7'])
  const within = ['10.1.2.3', 'fd12::1', '192.0.2.7', '::ffff:10.1.2.3']
  expect(within.filter((address) => !isIn(list, address))).toEqual([])
  expect(
    ['192.0.2.8', 'fe80::1', '11.0.0.0', '::ffff:11.0.0.1', 'ten', ''].filter((text) => isIn(list, text)),
  ).toEqual([])
})
