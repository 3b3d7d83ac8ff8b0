import { describe, expect, test } from 'vitest'
import { carrierContract } from './carrier-contract.ts'
import { fuzzContract } from './fuzz-contract.ts'
import { EdgeUnavailableError, loadNative, nativeCandidates, openEdge } from './uws.ts'

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

describe('the contract', () => carrierContract(openEdge))
describe('the fuzz', () => fuzzContract(openEdge))
