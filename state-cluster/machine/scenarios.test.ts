import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runScenario, ScenarioError } from './testing/scenario.ts'

const folder = new URL('testdata/scenarios/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'))
/** `MARTILLO_REWRITE=1` writes the traces that the machine makes now; the diff is then for a human to read. */
const isRewriting = process.env['MARTILLO_REWRITE'] === '1'

describe('scenarios', () => {
  for (const name of files) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const path = fileURLToPath(new URL(name, folder))
      const text = readFileSync(path, 'utf8')
      const trace = runScenario(text)
      if (isRewriting) writeFileSync(path, trace)
      else expect(trace).toBe(text)
    })
  }

  it('are there', () => {
    expect(files.length).toBeGreaterThanOrEqual(10)
  })

  it('say what is wrong with a line', () => {
    for (const line of ['bid', 'bid bob 5.5', 'dance a1', 'at noon', 'extend a1 5'])
      expect(() => runScenario(`${line}\n`)).toThrow(ScenarioError)
  })
})
