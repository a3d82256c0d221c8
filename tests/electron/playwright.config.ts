/** The desktop application itself, where Electron's binary and a display are; everything is skipped, with the reason, where not. */
import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.ts',
  outputDir: '../.output/electron',
  workers: 1,
  timeout: 60_000,
  reporter: [['list']],
})
