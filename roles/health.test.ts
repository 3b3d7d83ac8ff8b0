import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createMetrics } from '../runtime/metrics.ts'
import { newSecretText, parseSecrets } from '../wire/proof.ts'
import { type HealthOptions, openHealth } from './health.ts'
import { healthTokensOf } from './settings.ts'

const closes: (() => void)[] = []
afterEach(() => {
  for (const close of closes.splice(0)) close()
})

const page = '<!doctype html><style>p{color:red}</style><p>Martillo monitor</p>'
const tokens = healthTokensOf({ healthToken: undefined }, parseSecrets(newSecretText()))
const [token] = tokens as [string]

async function open(changes: Partial<HealthOptions> = {}): Promise<string> {
  const health = await openHealth(
    { healthHost: '127.0.0.1', healthPort: 0, healthNames: ['node-1.example'] },
    {
      metrics: createMetrics({ withProcess: false }),
      tokens,
      isReady: () => true,
      status: () => ({ nodeId: 1 }),
      page: () => page,
      backup: async function* () {
        yield Buffer.from('everything')
      },
      ...changes,
    },
  )
  closes.push(() => health?.close())
  return health?.url as string
}

interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

/** By hand, because `fetch` sets the header Host itself. */
async function get(url: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    request(new URL(path, url), { headers }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
      .on('error', reject)
      .end()
  })
}

const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
const guarded = ['/status', '/backup', '/']
const probes = ['/up', '/livez', '/readyz']

describe('the health port', () => {
  it('HEALTH1: status, backup and page take a token, in either form; probes and metrics take none', async () => {
    const url = await open()
    for (const path of guarded) {
      for (const shown of [
        {},
        bearer('guessed'),
        basic('ops:guessed'),
        bearer(''),
        { authorization: token },
      ]) {
        const answer = await get(url, path, shown)
        expect([path, shown, answer.status]).toEqual([path, shown, 401])
        expect(answer.headers['www-authenticate']).toMatch(/^Basic /)
        expect(answer.body).not.toMatch(/nodeId|everything|Martillo monitor/)
      }
      for (const shown of [bearer(token), basic(`ops:${token}`), basic(`:${token}`)]) {
        expect((await get(url, path, shown)).status).toBe(200)
      }
    }
    expect((await get(url, '/backup', bearer(token))).body).toBe('everything')
    for (const path of [...probes, '/metrics']) expect((await get(url, path)).status).toBe(200)
    expect((await get(url, '/nowhere', bearer(token))).status).toBe(404)
  })

  it('HEALTH1: without any token nothing opens them; a second secret has a token of its own', async () => {
    const closed = await open({ tokens: [] })
    for (const path of guarded) {
      const answer = await get(closed, path, bearer(''))
      expect([answer.status, answer.body]).toEqual([
        403,
        expect.stringContaining('MARTILLO_CLUSTER_SECRET_FILE'),
      ])
    }
    const both = parseSecrets(`${newSecretText()}\n${newSecretText()}`)
    const two = healthTokensOf({ healthToken: undefined }, both)
    const rolling = await open({ tokens: two })
    for (const one of two) expect((await get(rolling, '/status', bearer(one))).status).toBe(200)
    for (const secret of both) expect(two).not.toContain(Buffer.from(secret).toString())
    expect(healthTokensOf({ healthToken: 'set' }, both)).toEqual(['set'])
  })

  it('HEALTH2: only its own names are answered, so that no name of another site reaches it', async () => {
    const url = await open()
    const under = async (host: string, path = '/status') =>
      (await get(url, path, { ...bearer(token), host })).status
    for (const host of ['evil.example', '127.0.0.1.evil.example:80', 'localhost.evil.example', '[evil]']) {
      expect([host, await under(host)]).toEqual([host, 421])
    }
    expect(await under('evil.example', '/metrics')).toBe(421)
    for (const host of ['127.0.0.1:9090', 'LOCALHOST:1', '[::1]:9', '10.1.2.3', 'node-1.example:9090']) {
      expect([host, await under(host)]).toEqual([host, 200])
    }
    for (const path of probes) expect(await under('evil.example', path)).toBe(200)
  })

  it('HEALTH3: answers carry the security headers of the pages; the page may do nothing but show itself', async () => {
    const url = await open()
    for (const path of [...guarded, ...probes, '/metrics', '/nowhere']) {
      expect((await get(url, path, bearer(token))).headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-store',
      })
    }
    const policy = (await get(url, '/', bearer(token))).headers['content-security-policy']
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]{43}='; .*frame-ancestors 'none'$/)
  })
})
