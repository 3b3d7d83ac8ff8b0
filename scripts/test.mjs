/**
 * `npm test`: everything that says whether this checkout is sound: types, lint, dead code, the rules of
 * docs/spec.md, unit tests, end-to-end tests. Invariant: the last line is `N passed, N failed` (a step counts as
 * one, a test case as one), and the exit code is 0 only when nothing failed and tests ran.
 * `npm test -- --only unit` runs one step; names are listed by `npm test -- --help`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'martillo-test-'))
const node = (...args) => [process.execPath, args]
const bin = (path) => join('node_modules', path)

/** Each step: a command, and whether it counts as one or by its test cases. */
const steps = {
  build: node('scripts/build.mjs'),
  types: node('scripts/types.mjs'),
  lint: node(bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '.'),
  unused: node(bin('knip/bin/knip.js')),
  spec: node(bin('tsx/dist/cli.mjs'), 'scripts/spec-check.ts'),
  unit: 'vitest',
  'node-carrier': 'vitest',
  e2e: 'vitest',
}

const args = process.argv.slice(2)
if (args.includes('--help')) {
  console.log(`usage: npm test [-- --only STEP]…\nsteps: ${Object.keys(steps).join(', ')}`)
  process.exit(0)
}
const chosen = args.flatMap((arg, at) => (arg === '--only' ? [args[at + 1]] : []))
const wrong = chosen.find((name) => !(name in steps))
if (wrong !== undefined || args.length !== chosen.length * 2) {
  console.error(`test: unknown ${wrong ?? args.join(' ')}; steps are ${Object.keys(steps).join(', ')}`)
  process.exit(2)
}

let passed = 0
let failed = 0
let skipped = 0

function spawn(command, commandArgs) {
  return spawnSync(command, commandArgs, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
}

function runVitest(project) {
  const output = join(scratch, `${project}.json`)
  const ok = spawn(process.execPath, [
    bin('vitest/vitest.mjs'),
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${output}`,
  ])
  if (!existsSync(output)) return false
  const report = JSON.parse(readFileSync(output, 'utf8'))
  passed += report.numPassedTests
  failed += report.numFailedTests
  skipped += report.numPendingTests + report.numTodoTests
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed')) failed++
  }
  return ok && report.numTotalTests > 0
}

for (const [name, step] of Object.entries(steps)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const started = Date.now()
  console.log(`\n== ${name}`)
  const failedBefore = failed
  const ok = step === 'vitest' ? runVitest(name) : spawn(step[0], step[1])
  if (step !== 'vitest' && ok) passed++
  if (!ok && failed === failedBefore) failed++
  console.log(`== ${name}: ${ok ? 'ok' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}
rmSync(scratch, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
