/**
 * Health checks of a proxy, absolute-form targets, and pipelined registrations.
 *
 * Invariant: on `node:http` all of them are answered as they should be. uWebSockets.js refuses the first two and ends
 * the connection of the third, as docs/carriers.md says; it answers nobody with another's answer. Source: spec EDGE14.
 */
import { RawClient } from '../raw-client.ts'
import type { Attack } from './attack.ts'

const body = '{"name":"x"}'
const registration = `POST /buyers HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const requests = {
  http10: 'GET /up HTTP/1.0\r\n\r\n',
  absolute: 'GET http://x/up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  pipelined: registration + registration.replace('Host: x', 'Host: x\r\nConnection: close'),
}
const statuses = {
  node: { http10: '200', absolute: '200', pipelined: '201 201' },
  uws: { http10: '505', absolute: '505', pipelined: '' },
} as const

export const attack: Attack = {
  point: 15,
  title: 'HTTP/1.0, absolute-form targets and pipelined requests',
  async run(scene) {
    for (const carrier of ['uws', 'node'] as const) {
      const house = await scene.house({ env: { MARTILLO_SERVER_CARRIER: carrier } })
      for (const [name, text] of Object.entries(requests)) {
        const client = await RawClient.open(house.url)
        client.write(text)
        await client.ended
        const got = [...client.text.matchAll(/HTTP\/1\.1 (\d+) /g)].map((match) => match[1]).join(' ')
        scene.fact(`${carrier}_${name}`, got)
        scene.holds(
          `${carrier}: ${name} is ${statuses[carrier][name as 'http10']}`,
          got === statuses[carrier][name as 'http10'],
        )
        client.destroy()
      }
      scene.holds(`${carrier}: still answers`, await scene.answers(`${house.url}/livez`))
    }
  },
}
