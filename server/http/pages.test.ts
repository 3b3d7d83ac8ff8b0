import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestHouse } from '../testing/test-server.ts'

let folder: string
let house: TestHouse
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martillo-pages-'))
  const web = join(folder, 'web')
  await mkdir(join(web, 'assets'), { recursive: true })
  await writeFile(
    join(web, 'index.html'),
    `<!doctype html><title>Martillo</title>${'<p>lots</p>'.repeat(50)}`,
  )
  await writeFile(join(web, 'assets', 'app-1a2b3c.js'), 'console.log(1)\n'.repeat(100))
  await writeFile(join(web, 'icon.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47]))
  await writeFile(join(folder, 'secret.txt'), 'not for the web')
  house = await TestHouse.open({ webDir: web })
})
afterAll(async () => {
  await house.close()
  await rm(folder, { recursive: true, force: true })
})

describe('the page', () => {
  test('HTTP12 it is served at / with a policy that forbids what it does not need', async () => {
    const answer = await house.ask('/')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(answer.text).toContain('<title>Martillo</title>')
    const policy = String(answer.headers.get('content-security-policy'))
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toContain('unsafe')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('cache-control')).toBe('no-cache')
    expect((await house.ask('/index.html')).text).toBe(answer.text)
    const head = await house.ask('/', { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.text).toBe('')
  })

  test('HTTP12 hashed files may be cached for ever; the page is revalidated, and is 304 when unchanged', async () => {
    const script = await house.ask('/assets/app-1a2b3c.js')
    expect(script.headers.get('cache-control')).toContain('immutable')
    expect(script.headers.get('content-type')).toContain('text/javascript')
    const first = await house.ask('/')
    const etag = String(first.headers.get('etag'))
    const again = await house.ask('/', { headers: { 'if-none-match': `W/"other", ${etag}` } })
    expect(again.status).toBe(304)
    expect(again.text).toBe('')
    expect((await house.ask('/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  test('HTTP12 text is compressed for clients that accept it, pictures never', async () => {
    const plain = await fetch(`${house.server.url}/`, { headers: { 'accept-encoding': 'identity' } })
    expect(plain.headers.get('content-encoding')).toBeNull()
    const zipped = await fetch(`${house.server.url}/`, { headers: { 'accept-encoding': 'gzip' } })
    expect(zipped.headers.get('content-encoding')).toBe('gzip')
    expect(zipped.headers.get('vary')).toBe('Accept-Encoding')
    expect(await zipped.text()).toBe(await plain.text())
    expect(zipped.headers.get('etag')).not.toBe(plain.headers.get('etag'))
    const picture = await fetch(`${house.server.url}/icon.png`, { headers: { 'accept-encoding': 'gzip' } })
    expect(picture.headers.get('content-encoding')).toBeNull()
    expect(picture.headers.get('content-type')).toBe('image/png')
  })

  test('HTTP12 no path leads out of the folder', async () => {
    for (const path of [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/assets/../../secret.txt',
      '/assets/..%5c..%5csecret.txt',
      '/secret.txt',
      '//etc/passwd',
      '/index.html%00',
      '/assets',
      '/assets/',
    ]) {
      const answer = await house.ask(path)
      expect(answer.status, path).toBe(404)
      expect(answer.text, path).not.toContain('not for the web')
    }
  })

  test('HTTP12 the API takes precedence over the page, and a house without a page still answers', async () => {
    expect((await house.ask('/auctions')).body).toHaveProperty('auctions')
    const bare = await TestHouse.open({ webDir: join(folder, 'nothing') })
    expect((await bare.ask('/')).status).toBe(404)
    expect((await bare.ask('/up')).status).toBe(200)
    await bare.close()
  })
})
