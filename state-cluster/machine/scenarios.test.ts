import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runScenario, ScenarioError } from './testing/scenario.ts'

const folder = new URL('testdata/scenarios/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'))
/** `MARTILLO_REWRITE=1` writes the present traces; read the diff before you commit it. */
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

  it('exist', () => {
    expect(files.length).toBeGreaterThanOrEqual(10)
  })

  it('a line outside the grammar is an error that names it', () => {
    for (const line of ['bid', 'bid bob 5.5', 'dance a1', 'at noon', 'extend a1 5'])
      expect(() => runScenario(`${line}\n`)).toThrow(ScenarioError)
  })
})
