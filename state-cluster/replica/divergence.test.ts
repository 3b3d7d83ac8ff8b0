import { expect, it } from 'vitest'
import { Divergence } from './divergence.ts'

const voters = [1, 2, 3]

it('GUARD1: a majority that agrees on another hash contradicts; one replica alone does not', () => {
  const hashes = new Divergence()
  hashes.report(1, 256, 'ours')
  hashes.report(2, 256, 'theirs')
  expect(hashes.isDivergent(1, 256, voters)).toBe(false)
  hashes.report(3, 256, 'another')
  expect(hashes.isDivergent(1, 256, voters)).toBe(false)
  hashes.report(3, 256, 'theirs')
  expect(hashes.isDivergent(1, 256, voters)).toBe(true)
  expect(hashes.isDivergent(2, 256, voters)).toBe(false)
})

it('GUARD1: hashes of different indexes, of learners, and those of long ago say nothing', () => {
  const hashes = new Divergence()
  hashes.report(1, 256, 'ours')
  hashes.report(2, 512, 'theirs')
  hashes.report(3, 512, 'theirs')
  hashes.report(4, 256, 'theirs')
  hashes.report(5, 256, 'theirs')
  expect(hashes.isDivergent(1, 256, voters)).toBe(false)
  expect(hashes.isDivergent(1, 512, voters)).toBe(false)
  for (let index = 768; index < 768 + 20 * 256; index += 256) hashes.report(2, index, 'theirs')
  hashes.report(2, 256, 'theirs')
  hashes.report(3, 256, 'theirs')
  expect(hashes.isDivergent(1, 256, voters), 'its own hash is forgotten').toBe(false)
})
