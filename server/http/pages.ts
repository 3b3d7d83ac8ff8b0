/**
 * Serves the built web page from memory.
 *
 * API routes come first; http.ts sees to that. Invariant: a request path is only a key of a map of the files that
 * existed at the start, so no path leads out of the folder; the policy of a page forbids everything that the page does
 * not need. Source: RFC 9111; CSP Level 3; docs/spec.md HTTP12.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { HttpAnswer, HttpRequest } from '../carrier/socket.ts'

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
}
const compressible = new Set(['.html', '.js', '.css', '.json', '.webmanifest', '.svg', '.txt'])

const filesMax = 1000
const bytesMax = 64 * 1024 * 1024

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

interface Page {
  readonly bytes: Uint8Array
  readonly zipped: Uint8Array | undefined
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

export class PagesError extends Error {
  readonly code = 'pages_unusable'
  readonly retryable = false
}

/** The answer to a page request; `undefined` if there is no page at its path. */
export type Pages = (request: HttpRequest) => HttpAnswer | undefined

/**
 * Reads every file of a folder (at most 1,000, at most 64 MiB together) and returns the function that answers GET; `/`
 * is `index.html`. A missing folder gives no pages. Files under `assets/` have a hash in their name and may be cached
 * for ever.
 */
export async function loadPages(folder: string): Promise<Pages> {
  const pages = new Map<string, Page>()
  let totalBytes = 0
  for (const name of await filesIn(folder)) {
    const bytes = await readFile(join(folder, name))
    totalBytes += bytes.length
    if (pages.size >= filesMax || totalBytes > bytesMax)
      throw new PagesError(
        `${folder} is too large for a web page: at most ${filesMax} files of 64 MiB together`,
      )
    const path = `/${name.split(sep).join('/')}`
    const page = pageOf(path, bytes)
    pages.set(path, page)
    if (path === '/index.html') pages.set('/', page)
  }
  return (request) => {
    const page = pages.get(request.path)
    return page === undefined ? undefined : answer(page, request)
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(folder.length)
          .replace(/^[\\/]+/, ''),
      )
      .sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new PagesError(`cannot read the web page in ${folder}`, { cause: error })
  }
}

function pageOf(path: string, bytes: Uint8Array): Page {
  const extension = extname(path)
  const zipped = compressible.has(extension) ? gzipSync(bytes, { level: 9 }) : undefined
  const isHashed = path.startsWith('/assets/')
  return {
    bytes,
    zipped: zipped !== undefined && zipped.length < bytes.length ? zipped : undefined,
    etag: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
    headers: {
      'Content-Type': contentTypes[extension] ?? 'application/octet-stream',
      'Cache-Control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Opener-Policy': 'same-origin',
      ...(extension === '.html' ? { 'Content-Security-Policy': contentSecurityPolicy } : {}),
    },
  }
}

function answer(page: Page, request: HttpRequest): HttpAnswer {
  const isZipped = page.zipped !== undefined && /\bgzip\b/i.test(request.header('accept-encoding'))
  const etag = `"${page.etag}${isZipped ? '-gzip' : ''}"`
  const headers = {
    ...page.headers,
    ETag: etag,
    ...(page.zipped === undefined ? {} : { Vary: 'Accept-Encoding' }),
    ...(isZipped ? { 'Content-Encoding': 'gzip' } : {}),
  }
  const known = request
    .header('if-none-match')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
  if (known.includes(etag)) return { status: 304, headers, body: '' }
  return { status: 200, headers, body: isZipped && page.zipped !== undefined ? page.zipped : page.bytes }
}
