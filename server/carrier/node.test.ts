import { describe, expect, test } from 'vitest'
import { frameOf, opcodes, RawClient } from '../../tests/raw-client.ts'
import { edgeBench, ok, raw } from '../testing/edge-bench.ts'
import { eventually } from '../testing/test-server.ts'
import { carrierContract } from './carrier-contract.ts'
import { fuzzContract } from './fuzz-contract.ts'
import { openNodeEdge } from './node.ts'
import { socketContract } from './socket-contract.ts'

describe('HTTP', () => carrierContract(openNodeEdge))
describe('WebSockets', () => socketContract(openNodeEdge))
describe('the fuzz', () => fuzzContract(openNodeEdge))

describe('what uWebSockets.js does not do', () => {
  const open = edgeBench(openNodeEdge)

  test('EDGE14 HTTP/1.0, absolute-form and asterisk-form targets are requests like any other', async () => {
    const { edge } = await open({
      http: ({ request }) => ({ ...ok, body: `[${request.method} ${request.path} ${request.query}]` }),
    })
    const answered = async (text: string): Promise<string> =>
      (await raw(edge.port, text, ']')).split('\r\n\r\n')[1] ?? ''
    expect(await answered('GET /up HTTP/1.0\r\n\r\n')).toBe('[GET /up ]')
    expect(await answered('GET http://x:80/up?q HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('[GET /up q]')
    expect(await answered('GET https://x HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('[GET / ]')
    expect(await answered('OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('[OPTIONS * ]')
    expect(await answered('CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('[CONNECT a:1 ]')
  })

  test('EDGE14 pipelined requests with bodies and late answers all get them, in order', async () => {
    const { edge } = await open({
      http: async (exchange) => {
        const read = await exchange.readBody(1000, 5000)
        await new Promise((resolve) => setTimeout(resolve, 20))
        return { ...ok, body: `[${read.ok ? Buffer.from(read.bytes) : read.why}]` }
      },
    })
    const post = (body: string): string =>
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const text = await raw(edge.port, ['one', 'two', 'three'].map(post).join(''), '[three]')
    expect(text.match(/\[\w+\]/g)).toEqual(['[one]', '[two]', '[three]'])
  })

  test('EDGE14 bytes that are no request get a problem document, and the connection ends', async () => {
    const { edge } = await open()
    const refused: readonly (readonly [string, number, string])[] = [
      ['GARBAGE\r\n\r\n', 400, 'request_malformed'],
      ['GET / HTTP/1.1\r\n\r\n', 400, 'request_malformed'],
      [
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
        400,
        'request_malformed',
      ],
      [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`, 431, 'headers_too_large'],
      ['GET / HTTP/3.7\r\nHost: x\r\n\r\n', 505, 'version_unsupported'],
    ]
    for (const [text, status, code] of refused) {
      const [head = '', body = ''] = (await raw(edge.port, text)).split('\r\n\r\n')
      expect(head, text.slice(0, 60)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(head).toContain('application/problem+json')
      expect(JSON.parse(body)).toMatchObject({ code, status })
    }
  })

  test('RATE8 a message that is never finished ends its socket, whatever control frames come in between', async () => {
    const { url, closes } = await open({}, { messageTimeoutMs: 400 })
    const alive = await RawClient.openWebSocket(url)
    const unfinished = await RawClient.openWebSocket(url)
    let isDone = false
    const beats = (async () => {
      unfinished.frame(opcodes.text, 'x', { isFinal: false })
      while (!isDone) {
        for (const client of [alive, unfinished]) client.frame(opcodes.ping, 'beat')
        unfinished.frame(opcodes.continuation, 'x', { isFinal: false })
        alive.frame(opcodes.text, 'one', { isFinal: false })
        alive.frame(opcodes.continuation, 'message')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })()
    await unfinished.ended
    isDone = true
    await beats
    expect(closes).toEqual([1008])
    expect(alive.isClosed).toBe(false)
    alive.destroy()
    unfinished.destroy()
  })

  test('EDGE14 a frame of a client without a mask ends its socket', async () => {
    const { url, closes } = await open()
    const client = await RawClient.openWebSocket(url)
    client.write(frameOf(opcodes.text, 'x', { isMasked: false }))
    await client.ended
    await eventually(() => closes.length === 1)
    client.destroy()
  })
})
