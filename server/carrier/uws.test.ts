import { describe, expect, test } from 'vitest'
import { edgeBench, type OpenEdge, ok, raw } from '../testing/edge-bench.ts'
import { carrierContract } from './carrier-contract.ts'
import { fuzzContract } from './fuzz-contract.ts'
import { socketContract } from './socket-contract.ts'
import { EdgeUnavailableError, loadNative, nativeCandidates, openNativeEdge } from './uws.ts'

const openUws: OpenEdge = async (options, handlers) => openNativeEdge(await loadNative(), options, handlers)

describe('the native module', () => {
  test('EDGE1 each Node version tries the builds that run on it, and names the remedy when none loads', async () => {
    expect(nativeCandidates(20)).toEqual(['uws-node20'])
    expect(nativeCandidates(22)).toEqual(['uws-node22', 'uws-node20'])
    expect(nativeCandidates(23)).toEqual(['uws-node20'])
    expect(nativeCandidates(24)).toEqual(['uws-node22'])
    expect(nativeCandidates(26)).toEqual(['uws-node22'])
    const tried: string[] = []
    const load = (alias: string): Promise<unknown> => {
      tried.push(alias)
      return Promise.reject(new Error('GLIBC_2.38 not found'))
    }
    const loading = loadNative('22.3.0', load)
    await expect(loading).rejects.toBeInstanceOf(EdgeUnavailableError)
    await expect(loading).rejects.toThrow(
      /Node 22\.3\.0 .*uws-node22: GLIBC_2\.38 not found; uws-node20: GLIBC/,
    )
    expect(tried).toEqual(['uws-node22', 'uws-node20'])
  })

  test('EDGE1 the build of this Node loads', async () => {
    expect(await loadNative()).toHaveProperty('App')
  })
})

describe('HTTP', () => carrierContract(openUws))
describe('WebSockets', () => socketContract(openUws))
describe('the fuzz', () => fuzzContract(openUws))

describe('what uWebSockets.js does not do', () => {
  const open = edgeBench(openUws)

  test('EDGE14 HTTP/1.0 and absolute-form targets are refused with 505 in HTML, and the next client is served', async () => {
    const { edge, url } = await open()
    for (const line of ['GET /up HTTP/1.0', 'GET http://x/up HTTP/1.1', 'OPTIONS * HTTP/1.1'])
      expect(await raw(edge.port, `${line}\r\nHost: x\r\n\r\n`), line).toMatch(/^HTTP\/1\.1 505 .*<h1>/s)
    expect((await fetch(url)).status).toBe(200)
  })

  test('EDGE14 a request that follows one without its answer ends the connection: no answer is given to the wrong one', async () => {
    const { edge } = await open({ http: () => new Promise((resolve) => setTimeout(() => resolve(ok), 20)) })
    const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    expect(await raw(edge.port, get + get)).toBe('')
  })
})
