/**
 * The npm packages. `npm ci` runs without scripts first, because node-pty's compiling needs the C headers of Node 24, which arrive with the
 * package `node`: so `node` is finished next and node-pty after it. node-pty is wanted, not needed: where it cannot be built, Coppice lacks
 * its terminal tab and says so.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { ensurePackages } from './debian.mjs'
import { findProgram, run, say, tail } from './say.mjs'
import { hashOf, readStamp, removeStamp, writeStamp } from './stamps.mjs'

/** How to call npm: the one that called us, else the one in PATH. */
function npm(args, options) {
  const script = process.env.npm_execpath
  return script?.endsWith('.js') && existsSync(script)
    ? run(process.execPath, [script, ...args], options)
    : run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, options)
}

export function nodeBinary(root) {
  return path.join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
}

/** Where the headers of Node 24 are, or null. */
export function headersFolder(root, platform = process.platform, arch = process.arch) {
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node'
  const folder = path.join(root, 'node_modules/node/node_modules', `${prefix}-${platform === 'win32' ? 'win' : platform}-${arch}`)
  return existsSync(path.join(folder, 'include/node/common.gypi')) ? folder : null
}

/** node-pty carries binaries for Windows and macOS; elsewhere it has to be compiled. */
function terminalIsReady(root) {
  const folder = path.join(root, 'node_modules/node-pty')
  return (
    existsSync(path.join(folder, 'build/Release/pty.node')) ||
    existsSync(path.join(folder, 'prebuilds', `${process.platform}-${process.arch}`))
  )
}

/**
 * Brings node_modules to what package-lock.json says.
 * @throws Error with a sentence when the packages cannot be had
 */
export async function installPackages(root) {
  const stampFile = path.join(root, 'node_modules/.cache/coppice/packages.json')
  const wanted = { lock: hashOf(root, ['package-lock.json']), platform: `${process.platform}-${process.arch}` }
  const stamp = readStamp(stampFile)
  if (stamp?.lock === wanted.lock && stamp.platform === wanted.platform && existsSync(nodeBinary(root))) return
  if (!stamp && isInstalled(root)) return writeStamp(stampFile, wanted)

  say('Installing packages (this happens once, and after updates).')
  removeStamp(stampFile)
  // On Windows a running node.exe inside node_modules cannot be deleted, which `ci` would begin with.
  const fromInside = process.platform === 'win32' && process.execPath.startsWith(path.join(root, 'node_modules'))
  const installed = await npm([fromInside ? 'install' : 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: root })
  if (!installed.ok)
    throw new Error(
      `The packages could not be installed. Check the connection to the npm registry and run the command again.\n${tail(installed.output, 12)}`,
    )
  const node = await npm(['rebuild', 'node', '--ignore-scripts=false'], { cwd: root })
  if (!node.ok || !existsSync(nodeBinary(root)))
    throw new Error(
      `Node 24 could not be installed. Check the connection to the npm registry and run the command again.\n${tail(node.output, 12)}`,
    )
  await buildTerminal(root)
  writeStamp(stampFile, wanted)
}

/** True when somebody ran npm by hand: npm's record of what lies in node_modules is what package-lock.json asks for, and scripts have run. */
function isInstalled(root) {
  if (!existsSync(nodeBinary(root)) || !terminalIsReady(root)) return false
  const wanted = readStamp(path.join(root, 'package-lock.json'))?.packages ?? {}
  const present = readStamp(path.join(root, 'node_modules/.package-lock.json'))?.packages
  if (!present) return false
  return Object.entries(wanted).every(([place, entry]) => place === '' || entry.optional || present[place]?.version === entry.version)
}

async function buildTerminal(root) {
  if (!terminalIsReady(root)) {
    const missing = [
      ['make', 'make'],
      ['g++', 'g++'],
      ['python3', 'python3'],
    ].filter(([program]) => findProgram(program) === null)
    if (missing.length > 0) {
      const there = await ensurePackages(
        missing.map(([, name]) => name),
        'to build the terminal tab',
      )
      if (!there) return say('Coppice runs without its terminal tab. To have it later: install these, delete node_modules, start again.')
    }
  }
  const configured = (await npm(['config', 'get', 'nodedir'], { cwd: root })).output.trim()
  const headers = headersFolder(root)
  const useOurs = headers !== null && (configured === '' || configured === 'undefined' || configured === 'null')
  const env = useOurs ? { ...process.env, npm_config_nodedir: headers } : process.env
  const built = await npm(['rebuild', 'node-pty', '--ignore-scripts=false'], { cwd: root, env })
  if (!built.ok || !terminalIsReady(root)) say(`The terminal tab is off: node-pty could not be built.\n${tail(built.output)}`)
}
