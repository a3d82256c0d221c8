/**
 * The served development loop. The browser talks to Vite alone: it has the window's sources, and passes the token's exchange and the wire on to the host
 * with Host and Origin put right. The host keeps its port and token over restarts, so that the window just connects again.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createNetServer } from 'node:net'
import path from 'node:path'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { createServer } from 'vite'
import { NODE_FLAGS } from './node-flags.mjs'

const root = path.resolve(import.meta.dirname, '../..')
const HOST_SOURCES = ['src-main', 'src-shared'].map((folder) => path.join(root, folder))
/** Editors write several files at a time. */
const SETTLE_MS = 200

const port = await freePort()
const token = randomBytes(32).toString('base64url')
const target = `http://127.0.0.1:${port}`
let host = null
let ending = false

const vite = await createServer({
  configFile: false,
  root: path.join(root, 'src-renderer'),
  plugins: [svelte({ configFile: false })],
  server: {
    host: '127.0.0.1',
    proxy: {
      '/wire': { target, ws: true, changeOrigin: true, rewriteWsOrigin: true },
      '^/\\?token=': { target, changeOrigin: true },
    },
  },
})
await vite.listen()
start()
process.stdout.write(`Coppice, with hot reload, is at ${vite.resolvedUrls.local[0]}?token=${token}\n`)

let timer = null
vite.watcher.add(HOST_SOURCES)
vite.watcher.on('all', (_event, file) => {
  if (!HOST_SOURCES.some((folder) => file.startsWith(folder)) || !file.endsWith('.ts')) return
  clearTimeout(timer)
  timer = setTimeout(() => void restart(), SETTLE_MS)
})
process.on('SIGINT', () => void end())
process.on('SIGTERM', () => void end())

function start() {
  const args = [...NODE_FLAGS, path.join(root, 'src-main/app/launch/main.ts'), '--serve', '--port', String(port), ...process.argv.slice(2)]
  const child = spawn(process.execPath, args, { env: { ...process.env, COPPICE_TOKEN: token }, stdio: ['ignore', 'ignore', 'inherit'] })
  host = child
  child.on('exit', (code) => {
    if (host === child) host = null
    if (!ending && code) process.stderr.write('The host ended; it starts again with the next change.\n')
  })
}

/** Machines that run are suspended by the end of the old host. */
async function restart() {
  await stop()
  if (!ending) start()
}

async function stop() {
  const child = host
  if (!child) return
  host = null
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function end() {
  if (ending) return
  ending = true
  await stop()
  await vite.close()
  process.exit(0)
}

async function freePort() {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
