#!/usr/bin/env node
/**
 * `npm run dev [-- --library DIR]`: changes show at once. With Electron's binary: electron-vite's own loop. Without: Vite serves the window and passes
 * its wire on to a host that runs from the sources and is restarted when they change.
 */
import path from 'node:path'
import { become } from './setup/become.mjs'
import { electronBinary } from './setup/electron.mjs'
import { drive, root, setUp } from './setup/index.mjs'

drive(async () => {
  const { node, env } = await setUp({ built: true })
  const display = process.platform === 'win32' || process.platform === 'darwin' || env.DISPLAY || env.WAYLAND_DISPLAY
  const asRoot = process.getuid?.() === 0 ? ['--noSandbox'] : []
  const args =
    electronBinary(root) && display
      ? [
          path.join(root, 'node_modules/electron-vite/bin/electron-vite.js'),
          'dev',
          '--watch',
          '--config',
          'electron.config.ts',
          ...asRoot,
          '--',
        ]
      : [path.join(root, 'bin/setup/dev-served.mjs')]
  return become(node, [...args, ...process.argv.slice(2)], env)
})
