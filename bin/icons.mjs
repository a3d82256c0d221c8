/**
 * Draws resources/icons/coppice-*.png from the window's own src-renderer/icon.svg with an installed Chromium. Run it after a change to the drawing: node bin/icons.mjs
 * electron-builder makes the formats of Windows and macOS from the largest.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { chromium } from 'playwright'
import { findChromium } from './setup/chromium.mjs'

const ROOT = path.resolve(import.meta.dirname, '..')
const FOLDER = path.join(ROOT, 'resources/icons')
const SIZES = [512, 1024]

const svg = await readFile(path.join(ROOT, 'src-renderer/icon.svg'), 'utf8')
const browser = await chromium.launch({ executablePath: findChromium() ?? undefined, args: ['--no-sandbox', '--disable-gpu'] })
for (const size of SIZES) {
  const page = await browser.newPage({ viewport: { width: size, height: size } })
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`)
  await page.screenshot({ path: path.join(FOLDER, `coppice-${size}.png`), omitBackground: true })
  await page.close()
}
await browser.close()
