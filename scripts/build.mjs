/**
 * `npm run build` (and `npm ci`, through `prepare`): compiles the server, the command line and the web page to
 * dist/. Plain JavaScript, because nothing is compiled yet when it runs. Invariant: dist/ holds nothing from an
 * earlier build, and is swapped in whole, so a failed build leaves the last good one.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const staging = mkdtempSync(join(root, '.dist-'))

function run(title, args) {
  const started = Date.now()
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) {
    rmSync(staging, { recursive: true, force: true })
    console.error(`build: ${title} failed`)
    process.exit(1)
  }
  console.error(`build: ${title} (${Date.now() - started} ms)`)
}

const bin = (path) => join(root, 'node_modules', path)

run('server and command line', [bin('typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', staging])
run('web page', [bin('vite/bin/vite.js'), 'build', '--logLevel', 'warn', '--outDir', join(staging, 'web')])
chmodSync(join(staging, 'main.js'), 0o755)

const dist = join(root, 'dist')
const old = `${staging}-old`
if (existsSync(dist)) renameSync(dist, old)
renameSync(staging, dist)
rmSync(old, { recursive: true, force: true })
