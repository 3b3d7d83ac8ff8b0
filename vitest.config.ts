/**
 * The test projects: `unit` and `e2e`.
 *
 * Unit tests are beside the code; end-to-end tests run real processes from the built dist/.
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
