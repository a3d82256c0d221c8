#!/usr/bin/env node
/**
 * `npm start`: sets up what is missing, then opens the window.
 *   npm start -- --serve          serve and print the address instead
 *   npm start -- --library DIR    another library
 *   npm start -- --port N         another port for the served window
 * Which window: Electron where its binary is or can be fetched, else a browser in app-window mode, else the printed address.
 */
import path from 'node:path'
import { become } from './setup/become.mjs'
import { ensureChromium } from './setup/chromium.mjs'
import { fetchElectron } from './setup/electron.mjs'
import { drive, root, setUp } from './setup/index.mjs'
import { NODE_FLAGS } from './setup/node-flags.mjs'

/** Windows and macOS always have a screen; elsewhere X11 or Wayland says so. */
function hasDisplay() {
  return process.platform === 'win32' || process.platform === 'darwin' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
}

drive(async () => {
  const args = process.argv.slice(2)
  const { node, env } = await setUp({ built: true })
  const wantsWindow = !args.includes('--serve') && hasDisplay()
  if (wantsWindow) {
    const electron = await fetchElectron(root)
    if (electron) {
      // Chromium's sandbox refuses to work for root.
      const rootOnly = process.getuid?.() === 0 ? ['--no-sandbox'] : []
      return become(electron, [...NODE_FLAGS.map((flag) => `--js-flags=${flag}`), ...rootOnly, '.', ...args], env)
    }
    await ensureChromium('for the window')
  }
  return become(node, [...NODE_FLAGS, path.join(root, 'out/main/start.js'), ...args], env)
})
