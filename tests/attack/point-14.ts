/**
 * Preflights of a page with headers of a tracing library.
 *
 * Invariant: no answer without a body has a length, and no header that a page asks for is refused. Source: spec EDGE10,
 * HTTP17.
 */
import { RawClient } from '../raw-client.ts'
import type { Attack } from './attack.ts'

export const attack: Attack = {
  point: 14,
  title: 'preflights with request headers of a page',
  async run(scene) {
    for (const carrier of ['uws', 'node']) {
      const house = await scene.house({ env: { MARTILLO_SERVER_CARRIER: carrier } })
      const client = await RawClient.open(house.url)
      scene.onEnd(() => client.destroy())
      client.write(
        [
          'OPTIONS /bids HTTP/1.1',
          'Host: x',
          'Origin: https://shop.example',
          'Access-Control-Request-Method: POST',
          'Access-Control-Request-Headers: authorization, traceparent',
          '\r\n',
        ].join('\r\n'),
      )
      await client.until((text) => text.includes('\r\n\r\n'))
      scene.holds(`${carrier}: 204`, client.text.startsWith('HTTP/1.1 204 '))
      scene.holds(`${carrier}: no Content-Length`, !/content-length/i.test(client.text))
      scene.holds(`${carrier}: traceparent is allowed`, /allow-headers: .*traceparent/i.test(client.text))
    }
  },
}
