/**
 * The test projects: `unit`, `node-carrier` and `e2e`.
 *
 * Unit tests are beside the code; those that open a real port run again on the other carrier. End-to-end tests run
 * real processes from the built dist/.
 *
 * Invariant: end-to-end files run one after another, because each of them measures or kills real processes.
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{protocol,runtime,wire,state-cluster,server,monitor,notifier,clients,roles,sim,bench,scripts}/**/*.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'node-carrier',
          include: ['server/**/*.test.ts'],
          // Carriers have one contract, and run it each in the project `unit`.
          exclude: ['server/carrier/**'],
          env: { MARTILLO_TEST_CARRIER: 'node' },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
