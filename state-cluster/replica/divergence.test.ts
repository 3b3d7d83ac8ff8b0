import { expect, it } from 'vitest'
import { HashCompare } from './divergence.ts'

const voters = [1, 2, 3]

it('GUARD1: a majority that agrees on another hash contradicts; one replica alone does not', () => {
  const hashes = new HashCompare()
  hashes.told(1, 256, 'ours')
  hashes.told(2, 256, 'theirs')
  expect(hashes.isContradicted(1, 256, voters)).toBe(false)
  hashes.told(3, 256, 'another')
  expect(hashes.isContradicted(1, 256, voters)).toBe(false)
  hashes.told(3, 256, 'theirs')
  expect(hashes.isContradicted(1, 256, voters)).toBe(true)
  expect(hashes.isContradicted(2, 256, voters)).toBe(false)
})

it('GUARD1: hashes of different indexes, of learners, and those of long ago say nothing', () => {
  const hashes = new HashCompare()
  hashes.told(1, 256, 'ours')
  hashes.told(2, 512, 'theirs')
  hashes.told(3, 512, 'theirs')
  hashes.told(4, 256, 'theirs')
  hashes.told(5, 256, 'theirs')
  expect(hashes.isContradicted(1, 256, voters)).toBe(false)
  expect(hashes.isContradicted(1, 512, voters)).toBe(false)
  for (let index = 768; index < 768 + 20 * 256; index += 256) hashes.told(2, index, 'theirs')
  hashes.told(2, 256, 'theirs')
  hashes.told(3, 256, 'theirs')
  expect(hashes.isContradicted(1, 256, voters), 'its own hash is forgotten').toBe(false)
})
