/**
 * Builds the web page: clients/web to dist/web.
 *
 * Invariant: nothing is inlined, so that the page runs under `default-src 'self'`.
 */
import { defineConfig } from 'vite'

const house = process.env['MARTILLO_URL'] ?? 'http://127.0.0.1:8080'
const houseFolders = '^/(auctions|bids|buyers|tokens|auction|up|livez|readyz)(/|\\?|$)'

export default defineConfig({
  root: 'clients/web',
  base: './',
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: '127.0.0.1',
    proxy: { [houseFolders]: house, '/ws': { target: house.replace(/^http/, 'ws'), ws: true } },
  },
})
