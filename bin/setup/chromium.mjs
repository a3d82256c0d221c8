/** The browser that shows the window where Electron is absent, and that the tests drive. */
import { existsSync } from 'node:fs'
import { ensurePackages } from './debian.mjs'
import { findProgram } from './say.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge', 'microsoft-edge-stable']
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  ...[process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA].flatMap((folder) =>
    folder ? [`${folder}\\Google\\Chrome\\Application\\chrome.exe`, `${folder}\\Microsoft\\Edge\\Application\\msedge.exe`] : [],
  ),
]

/** The path of Chromium, Chrome or Edge, or null. COPPICE_CHROMIUM names another. */
export function findChromium(env = process.env) {
  if (env.COPPICE_CHROMIUM) return env.COPPICE_CHROMIUM
  for (const name of NAMES) {
    const found = findProgram(name, env)
    if (found) return found
  }
  return PLACES.find((place) => existsSync(place)) ?? null
}

/** @param {string} purpose "for the window" */
export async function ensureChromium(purpose) {
  const found = findChromium()
  if (found) return found
  return (await ensurePackages(['chromium'], purpose)) ? findChromium() : null
}
